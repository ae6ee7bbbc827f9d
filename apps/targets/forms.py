"""Forms of the target, environment and endpoint pages."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.targets.configs import MACHINES, SECRETS, machines_of, read_machine
from apps.targets.models import Endpoint, Environment, Target
from apps.targets.selectors import environments

MEGABYTE = 1 << 20
CLUSTER = ("constraints", "engine_port")
FIELDS = {  # of each kind of target, in their order
    "docker": ("name", "hosts", *SECRETS),
    "swarm": ("name", "hosts", *CLUSTER, *SECRETS),
    "process": ("name",),
}


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
    field = forms.CharField(label=label, required=False, help_text=hint, widget=box, strip=False)
    field.is_conditional = True  # type: ignore[attr-defined]  # the addresses decide whether it is needed
    return field


class TargetForm(forms.Form):
    """What a target of one kind is told, and the credentials that open it; empty credentials stay as they are."""

    name = forms.SlugField(
        label=_("Name"), max_length=40, help_text=_("What people choose it by. It cannot be changed later.")
    )
    hosts = forms.CharField(
        label=_("Hosts"),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        help_text=_("One on each line, by its address. A name of your own may stand before it, with a space."),
    )
    constraints = forms.CharField(
        label=_("Only on nodes with"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "mono"}),
        help_text=_("Swarm's own constraints, one on each line: node.labels.gpu==yes. Empty: on every active node."),
    )
    engine_port = forms.IntegerField(
        label=_("Port of the nodes' own engines"),
        required=False,
        min_value=1,
        max_value=65535,
        help_text=_("Where they answer with the certificates above. Without it, nobody sees what replicas use."),
    )
    ca = _pasted(_("Authority's certificate"), _("ca.pem: the one that the engine's own certificate is signed by."))
    cert = _pasted(_("Client certificate"), _("slipway.pem: signed by the authority that the engine trusts."))
    key = _pasted(_("Client key"), _("slipway-key.pem. Whoever has it is root there: it is sealed, never shown again."))
    ssh_key = _pasted(_("SSH private key"), _("Of a user there in the group docker. Sealed and never shown again."))
    known_hosts = _pasted(
        _("The machine's SSH host key"),
        _("The line that ssh-keyscan prints. Any other key than this one is refused."),
    )

    def __init__(self, *args: Any, kind: str, target: Target | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind, self.target = kind, target
        for name in set(self.fields) - set(FIELDS[kind]):
            del self.fields[name]
        if kind == "swarm":
            self.fields["hosts"].label = _("Managers")
        if target is not None:
            del self.fields["name"]
            self.initial = _as_written(target)

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].lower()
        if Target.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a target of this name already."))
        return name

    def clean_hosts(self) -> list[dict[str, str]]:
        try:
            return [asdict(read_machine(line)) for line in _lines(self.cleaned_data["hosts"])]
        except ValueError as error:
            words = _("“%(line)s” is more than a name and an address.") % {"line": error}
            raise forms.ValidationError(words) from None

    def clean_constraints(self) -> list[str]:
        return _lines(self.cleaned_data["constraints"])

    def secrets(self) -> dict[str, str]:
        given = {name: self.cleaned_data.get(name, "").strip() for name in SECRETS}
        return {name: text + "\n" for name, text in given.items() if text}

    def config(self) -> dict[str, Any]:
        """The settings as the service takes them, with what this form does not know left as it was."""
        said = {MACHINES[self.kind]: self.cleaned_data["hosts"]} if self.kind in MACHINES else {}
        said |= {name: self.cleaned_data[name] for name in CLUSTER if name in self.fields}
        before = self.target.config if self.target else {}
        return {name: value for name, value in {**before, **said}.items() if value or name not in CLUSTER}

    def show_nothing_secret(self) -> None:
        """Before a form with errors is shown again: credentials have to be pasted once more."""
        self.data = {name: value for name, value in self.data.items() if name not in SECRETS}


def _as_written(target: Target) -> dict[str, Any]:
    machines = machines_of(target.kind, target.config)
    return {
        "hosts": "\n".join(f"{machine.name} {machine.url}" for machine in machines),
        "constraints": "\n".join(target.config.get("constraints") or ()),
        "engine_port": target.config.get("engine_port"),
    }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
