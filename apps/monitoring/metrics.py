"""The words that charts and rules share: what can be measured, in which unit, and how it reads in a sentence. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Text
from apps.monitoring.totals import Totals

Read = Callable[[Totals, float], float | None]


@dataclass(frozen=True)
class Metric:
    """One thing to measure. ``read`` takes it from the totals of some seconds; None means that those say nothing.

    ``source`` tells where it is measured: ``windows`` (the gateway), ``samples`` or ``replicas``.
    """

    key: str
    label: Text
    unit: str
    source: str
    read: Read = lambda totals, seconds: None


def _percentile(wanted: float) -> Read:
    return lambda totals, seconds: totals.percentiles(wanted)[0]


METRICS = {
    metric.key: metric
    for metric in (
        Metric("requests", _("requests per second"), "req/s", "windows", lambda t, s: t.requests / s),
        Metric("error_share", _("error share"), "%", "windows", lambda t, s: t.error_share),
        Metric("latency_p50", _("p50 latency"), "ms", "windows", _percentile(50)),
        Metric("latency_p90", _("p90 latency"), "ms", "windows", _percentile(90)),
        Metric("latency_p99", _("p99 latency"), "ms", "windows", _percentile(99)),
        Metric("in_flight", _("requests in flight"), "", "windows", lambda t, s: float(t.in_flight_max)),
        Metric("replicas_ready", _("replicas ready"), "", "replicas"),
        Metric("cpu", _("CPU of the busiest replica"), "%", "samples"),
        Metric("memory", _("memory of the largest replica"), "MB", "samples"),
    )
}

#: Metrics for which silence is a measurement: no windows means no calls.
ZERO_IN_SILENCE = frozenset({"requests", "in_flight"})

OPERATORS: dict[str, Text] = {">": _("is above"), "<": _("is below")}
SEVERITIES: dict[str, Text] = {"info": _("info"), "warning": _("warning"), "critical": _("critical")}
WINDOWS: dict[int, Text] = {60: _("1 minute"), 300: _("5 minutes"), 900: _("15 minutes"), 3600: _("1 hour")}
DURATIONS: dict[int, Text] = {
    0: _("even for a moment"),
    60: _("for 1 minute"),
    300: _("for 5 minutes"),
    900: _("for 15 minutes"),
    3600: _("for 1 hour"),
}
