"""The rule as a sentence to fill in, and channels with the fields of their kind."""

from typing import Any

from django import forms
from django.core.validators import URLValidator, validate_email
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.monitoring.metrics import DURATIONS, METRICS, OPERATORS, SEVERITIES, WINDOWS, Metric
from apps.monitoring.models import AlertRule, Channel
from apps.targets.models import Endpoint

MOST_ADDRESSES = 20


class RuleForm(forms.Form):
    """When <metric> of <endpoint> over <window> <is above> <threshold> <for so long> → <severity> → <channels>."""

    metric = forms.ChoiceField(label=_("Metric"), choices=lambda: [(m.key, _with_unit(m)) for m in METRICS.values()])
    endpoint = forms.ModelChoiceField(Endpoint.objects.none(), label=_("Endpoint"), empty_label=None)
    window_seconds = forms.TypedChoiceField(label=_("Window"), choices=list(WINDOWS.items()), coerce=int)
    operator = forms.ChoiceField(label=_("Comparison"), choices=list(OPERATORS.items()))
    threshold = forms.FloatField(label=_("Threshold"), min_value=0)
    for_seconds = forms.TypedChoiceField(label=_("Duration"), choices=list(DURATIONS.items()), coerce=int)
    severity = forms.ChoiceField(label=_("Severity"), choices=list(SEVERITIES.items()))
    channels = forms.ModelMultipleChoiceField(
        Channel.objects.none(), label=_("Tell"), required=False, widget=forms.CheckboxSelectMultiple
    )
    name = forms.CharField(
        label=_("Name"), max_length=80, required=False, help_text=_("Left empty, it is named after what it watches.")
    )
    is_enabled = forms.BooleanField(label=_("Watch now"), required=False, initial=True)

    def __init__(self, project: Project, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["endpoint"].queryset = Endpoint.objects.filter(project=project)  # type: ignore[attr-defined]
        self.fields["channels"].queryset = Channel.objects.filter(project=project)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not values.get("name") and values.get("endpoint") and values.get("metric"):
            words = {"metric": METRICS[values["metric"]].label, "endpoint": values["endpoint"].name}
            values["name"] = (gettext("%(metric)s of %(endpoint)s") % words)[:80]
        return values

    def as_rule(self) -> AlertRule:
        """The rule as filled in, not saved: for a preview."""
        columns = {name: value for name, value in self.cleaned_data.items() if name != "channels"}
        return AlertRule(**columns)


def rule_values(rule: AlertRule) -> dict[str, Any]:
    """What the form of an existing rule starts with."""
    return {name: getattr(rule, name) for name in RuleForm.base_fields if name != "channels"} | {
        "channels": rule.channels.all()
    }


class ChannelForm(forms.Form):
    """A webhook's address, or those that mail goes to; which one is needed depends on the kind."""

    name = forms.CharField(label=_("Name"), max_length=80)
    kind = forms.ChoiceField(label=_("Kind"), choices=[("webhook", _("Webhook")), ("mail", _("E-mail"))])
    url = forms.CharField(
        label=_("Webhook address"),
        max_length=500,
        required=False,
        help_text=_("Called with POST, signed as Standard Webhooks describe."),
        widget=forms.URLInput(attrs={"placeholder": "https://…"}),
    )
    to = forms.CharField(
        label=_("E-mail addresses"),
        max_length=2000,
        required=False,
        help_text=_("Several are set apart by commas."),
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("kind") == "webhook":
            self._check("url", lambda: URLValidator(["http", "https"])(values.get("url") or ""))
        elif values.get("kind") == "mail":
            self._check("to", lambda: _check_each(addresses(values.get("to") or "") or [""]))
        return values

    def _check(self, field: str, check: Any) -> None:
        try:
            check()
        except forms.ValidationError as error:
            self.add_error(field, error)

    @property
    def config(self) -> dict[str, Any]:
        """The channel's settings, as its notifier reads them."""
        if self.cleaned_data["kind"] == "webhook":
            return {"url": self.cleaned_data["url"]}
        return {"to": addresses(self.cleaned_data["to"])}


def _with_unit(metric: Metric) -> str:
    return f"{metric.label} ({metric.unit})" if metric.unit else str(metric.label)


def addresses(text: str) -> list[str]:
    """E-mail addresses out of a line with commas; at most 20."""
    return [one.strip() for one in text.split(",") if one.strip()][:MOST_ADDRESSES]


def _check_each(mails: list[str]) -> None:
    for mail in mails:
        validate_email(mail)
