"""Forms of the release pages."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.library.models import ModelVersion
from apps.releases.services import why_no_gpus
from apps.targets.models import GPU_KINDS, Endpoint
from apps.targets.selectors import endpoints

OFFERED = 200  # newest ready versions in the list; an older one is proposed from its own page


class VersionChoice(forms.ModelChoiceField):
    def label_from_instance(self, version: ModelVersion) -> str:
        return f"{version.model.name} v{version.number} · {version.framework}"


class EndpointChoice(forms.ModelChoiceField):
    def label_from_instance(self, endpoint: Endpoint) -> str:
        needed = endpoint.environment.approvals_required
        approvals = ngettext("%(count)d approval", "%(count)d approvals", needed) % {"count": needed}
        return f"{endpoint.name} · {endpoint.environment.name} · {approvals if needed else _('no approval')}"


class ProposalForm(forms.Form):
    """Which version, for which endpoint, with how many replicas, and why."""

    version = VersionChoice(label=_("Version"), queryset=ModelVersion.objects.none(), empty_label=_("Choose a version"))
    endpoint = EndpointChoice(
        label=_("Endpoint"),
        queryset=Endpoint.objects.none(),
        empty_label=_("Choose an endpoint"),
        help_text=_("Its environment decides how many approvals are needed and where it runs."),
    )
    replicas = forms.IntegerField(label=_("Replicas"), min_value=1, max_value=64, initial=1)
    memory_mb = forms.IntegerField(
        label=_("Memory per replica (MB)"), min_value=128, max_value=1 << 20, initial=2048, required=False
    )
    gpus = forms.IntegerField(
        label=_("GPUs per replica"),
        min_value=0,
        max_value=16,
        required=False,
        help_text=_("Set aside for each replica alone, for models served as ONNX. A target's page shows what it has."),
    )
    canary = forms.BooleanField(
        label=_("Canary: run it beside what serves"),
        required=False,
        help_text=_("It gets no traffic by itself: an operator gives it a share in the settings of the endpoint."),
    )
    note = forms.CharField(
        label=_("Note to the reviewers"),
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=10_000,
        required=False,
        help_text=_("What is better, how you know, and what to look out for."),
    )

    def __init__(self, *args: Any, actor: Actor, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ready = ModelVersion.objects.filter(model__project=project, state=ModelVersion.State.READY)
        newest = list(ready.order_by("-pk").values_list("pk", flat=True)[:OFFERED])
        chosen = self.initial.get("version") or self.data.get("version")
        offered = ready.filter(Q(pk__in=newest) | Q(pk=chosen if str(chosen).isdigit() else None))
        self.fields["version"].queryset = (  # type: ignore[attr-defined]
            offered.select_related("model").order_by("model__name", "-number")
        )
        self.fields["endpoint"].queryset = rows = endpoints(actor, project)  # type: ignore[attr-defined]
        if not rows.filter(environment__target__kind__in=GPU_KINDS).exists():
            del self.fields["gpus"]

    def clean(self) -> dict[str, Any]:
        chosen = self.cleaned_data
        is_whole = {"version", "endpoint"} <= set(chosen)
        target = chosen["endpoint"].environment.target if is_whole else None
        if target and chosen.get("gpus") and (reason := why_no_gpus(chosen["version"], target)):
            self.add_error("gpus", reason)
        return chosen

    def options(self) -> dict[str, Any]:
        """What was asked for beyond the model; a field that was left empty says nothing."""
        return {
            name: self.cleaned_data[name] for name in ("memory_mb", "gpus", "canary") if self.cleaned_data.get(name)
        }


class DecisionForm(forms.Form):
    """The subject that was shown, posted back unseen, and a comment."""

    subject = forms.CharField(min_length=64, max_length=64, widget=forms.HiddenInput)
    note = forms.CharField(
        label=_("Comment"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=10_000,
        error_messages={"required": _("A rejection needs a comment.")},
    )
    use_required_attribute = False  # one form, two buttons: an approval needs none

    def __init__(self, *args: Any, decision: str = "", actor: Actor | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["note"].required = decision == "reject"
        self.stale = bool(actor and decision == "approve" and not actor.fresh)

    def clean(self) -> dict[str, Any]:
        if self.stale:
            raise forms.ValidationError(_("You signed in a while ago: confirm that it is you, then approve."))
        return self.cleaned_data
