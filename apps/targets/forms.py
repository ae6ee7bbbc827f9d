"""Forms of the target, environment and endpoint pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.targets.models import Endpoint, Environment, Target
from apps.targets.selectors import environments
from apps.targets.services import KINDS

MEGABYTE = 1 << 20


class EndpointForm(forms.Form):
    """What can be said of an endpoint; name and environment only when it is made."""

    name = forms.SlugField(
        label=_("Name"),
        max_length=64,
        help_text=_("Lower-case letters, digits and hyphens. It becomes part of the address and cannot be changed."),
    )
    environment = forms.ModelChoiceField(label=_("Environment"), queryset=Environment.objects.none(), empty_label=None)
    description = forms.CharField(label=_("Description"), max_length=200, required=False)
    max_body_mb = forms.IntegerField(label=_("Largest request (MB)"), min_value=1, max_value=1024, initial=10)
    timeout_seconds = forms.FloatField(label=_("Time limit (seconds)"), min_value=0.1, max_value=3600, initial=60)
    is_idempotent = forms.BooleanField(
        label=_("A call may be sent again to another replica"),
        required=False,
        initial=True,
        help_text=_("True for models that only compute: a dying replica is then hidden from callers."),
    )

    def __init__(self, *args: Any, actor: Actor, project: Project, endpoint: Endpoint | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if endpoint is None:
            self.fields["environment"].queryset = environments(actor, project)  # type: ignore[attr-defined]
            return
        del self.fields["name"], self.fields["environment"]
        self.initial = {
            "description": endpoint.description,
            "max_body_mb": endpoint.max_body_bytes // MEGABYTE,
            "timeout_seconds": endpoint.timeout_seconds,
            "is_idempotent": endpoint.is_idempotent,
        }

    def clean_name(self) -> str:
        return self.cleaned_data["name"].lower()

    def facts(self) -> dict[str, Any]:
        """The cleaned values as the service takes them."""
        values = dict(self.cleaned_data)
        values["max_body_bytes"] = values.pop("max_body_mb") * MEGABYTE
        return values


class EnvironmentForm(forms.ModelForm):
    class Meta:
        model = Environment
        fields = ("name", "description", "target", "approvals_required", "starts_by_itself", "approval_days")
        labels = {"target": _("Target")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["name"]

    def changes(self) -> dict[str, Any]:
        """The cleaned values as the service takes them."""
        values = dict(self.cleaned_data)
        values["target_id"] = values.pop("target").pk
        return values


class TargetForm(forms.Form):
    name = forms.SlugField(label=_("Name"), max_length=40)
    kind = forms.ChoiceField(label=_("Kind"), choices=[(kind, kind) for kind in KINDS])

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].lower()
        if Target.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a target of this name already."))
        return name
