"""Forms of the target, environment and endpoint pages."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.targets.configs import MACHINES, SECRETS
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


def _pasted(label: Any, hint: Any = "") -> forms.CharField:
    """A field for a credential: what was typed is never sent back to the page."""
    box = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", "class": "mono"})
    return forms.CharField(label=label, required=False, help_text=hint, widget=box, strip=False)


class MachinesForm(forms.Form):
    """Where a target's machines are, and the credentials that open them; empty credentials stay as they are."""

    hosts = forms.CharField(
        label=_("Machines"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        help_text=_("One on each line: its name, a space, and where its Docker engine answers."),
    )
    ca = _pasted(_("Authority's certificate"), _("PEM. The one that the engine's own certificate is signed by."))
    cert = _pasted(_("Client certificate"), _("PEM. Signed by the authority that the engine was started with."))
    key = _pasted(_("Client key"), _("PEM. Whoever has it is root on the machine: it is sealed and never shown again."))
    ssh_key = _pasted(_("SSH private key"), _("Of a user there in the group docker. Sealed and never shown again."))
    known_hosts = _pasted(
        _("The machine's SSH host key"),
        _("The line that ssh-keyscan prints. Any other key than this one is refused."),
    )

    def clean_hosts(self) -> list[dict[str, str]]:
        lines = [line.split() for line in self.cleaned_data["hosts"].splitlines() if line.strip()]
        if any(len(line) != 2 for line in lines):
            raise forms.ValidationError(_("Each line is a name, a space and an address: gpu-1 tcp://10.0.0.5:2376"))
        return [{"name": name, "url": url} for name, url in lines]

    def secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data[name].strip() + "\n" for name in SECRETS if self.cleaned_data[name].strip()}

    def config(self, kind: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as the service takes them, with what this form does not know left as it was."""
        return {**before, MACHINES[kind]: self.cleaned_data["hosts"]} if kind in MACHINES else dict(before)

    def show_nothing_secret(self) -> None:
        """Before a form with errors is shown again: credentials have to be pasted once more."""
        self.data = {name: value for name, value in self.data.items() if name not in SECRETS}


class TargetForm(MachinesForm):
    name = forms.SlugField(label=_("Name"), max_length=40)
    kind = forms.ChoiceField(label=_("Kind"))
    field_order = ("name", "kind", "hosts", *SECRETS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = {"docker": _("Docker hosts"), "swarm": _("Docker Swarm"), "process": _("Processes on this machine")}
        order = sorted(KINDS, key=lambda kind: kind == "process")
        self.fields["kind"].choices = [(kind, labels.get(kind, kind)) for kind in order]  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].lower()
        if Target.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a target of this name already."))
        return name

    def facts(self) -> dict[str, Any]:
        """The cleaned values as the service takes them."""
        kind = self.cleaned_data["kind"]
        facts = {"name": self.cleaned_data["name"], "kind": kind, "config": self.config(kind, {})}
        return {**facts, "secrets": self.secrets()}
