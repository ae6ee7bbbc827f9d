"""Forms of the endpoint and deployment pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Invalid
from apps.deployments.models import Deployment


class ScaleForm(forms.Form):
    replicas = forms.IntegerField(label=_("Replicas"), min_value=1, max_value=64)


class RollBackForm(forms.Form):
    deployment = forms.IntegerField(required=False, widget=forms.HiddenInput)
    note = forms.CharField(label=_("Why"), max_length=2000, required=False)


class TrafficForm(forms.Form):
    """One share in percent for each running deployment; named ``weight_<deployment>``."""

    def __init__(self, *args: Any, deployments: list[Deployment], shares: dict[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for row in deployments:
            self.fields[f"weight_{row.pk}"] = forms.IntegerField(
                label=f"{row.release.version} (#{row.release_id})",
                min_value=0,
                max_value=100,
                initial=shares.get(row.pk, 0),
            )

    def weights(self) -> dict[int, int]:
        """The shares by deployment id; raises Invalid where a field is wrong."""
        if not self.is_valid():
            raise Invalid(_("The shares must be whole numbers between 0 and 100."))
        return {int(name.removeprefix("weight_")): value for name, value in self.cleaned_data.items()}
