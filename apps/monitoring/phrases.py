"""Rules and figures in words: the sentence a rule reads as, and numbers with their units. Pure."""

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from apps.monitoring.metrics import DURATIONS, METRICS, OPERATORS, WINDOWS
from apps.monitoring.models import AlertRule
from apps.monitoring.rules import Condition


def condition_of(rule: AlertRule) -> Condition:
    return Condition(rule.operator, rule.threshold, rule.for_seconds)


def sentence(rule: AlertRule) -> str:
    """“When p99 latency of digits over 5 minutes is above 150 ms for 5 minutes”"""
    return _("When %(metric)s of %(endpoint)s over %(window)s %(operator)s %(threshold)s %(duration)s") % {
        "metric": METRICS[rule.metric].label,
        "endpoint": rule.endpoint.name,
        "window": WINDOWS.get(rule.window_seconds) or _seconds(rule.window_seconds),
        "operator": OPERATORS[rule.operator],
        "threshold": with_unit(rule.metric, rule.threshold),
        "duration": DURATIONS.get(rule.for_seconds) or _seconds(rule.for_seconds),
    }


@translation.override(settings.LANGUAGE_CODE)
def logged(rule: AlertRule) -> str:
    """The same sentence in the one language of the log, whoever writes the entry."""
    return sentence(rule)


def with_unit(metric: str, value: float | None) -> str:
    """“150 ms”; a dash where there is no value."""
    if value is None:
        return "–"
    unit = METRICS[metric].unit
    return f"{figure(value)} {unit}".strip()


def figure(value: float) -> str:
    """A number as people write it: three digits that count, thousands set apart, nothing after a needless point."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2g}" if size < 1 else f"{value:.2f}"


def _seconds(seconds: int) -> str:
    return _("%(seconds)s s") % {"seconds": seconds}
