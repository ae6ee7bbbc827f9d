"""A rule against past data: when it would have fired, and what an alert's value has done of late."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from apps.monitoring import rules, sparklines
from apps.monitoring.charts import Figure, Line, Stretch, figure
from apps.monitoring.measuring import Values, measure_past
from apps.monitoring.metrics import METRICS
from apps.monitoring.models import Alert, AlertRule
from apps.monitoring.panels import threshold_of
from apps.monitoring.phrases import condition_of, sentence
from apps.monitoring.rules import Episode
from apps.monitoring.spans import Span, last

DAY_SECONDS, DAY_STEP = 86400, 60
RECENT_SECONDS = 3600


@dataclass(frozen=True)
class Preview:
    """How often a rule would have fired in the last day. ``figure`` is None where nothing was measured."""

    sentence: str
    episodes: list[Episode]
    figure: Figure | None


@dataclass(frozen=True)
class Recent:
    """SVG paths of an alert's value over the last hour, and the height of its threshold in the same box."""

    line: str
    area: str
    threshold: float


def preview(rule: AlertRule, now: datetime) -> Preview:
    """The rule, saved or not, judged over the last day in steps of a minute."""
    span = last(DAY_SECONDS, now, step=DAY_STEP)
    [values] = measure_past([rule], span)
    episodes = rules.replay(condition_of(rule), values)
    return Preview(sentence(rule), episodes, _figure(rule, span, values, episodes) if values else None)


def recent_values(alerts: Sequence[Alert], now: datetime) -> list[Recent | None]:
    """What each alert's value has done in the last hour; None where it is not recorded. A few queries for them all."""
    span = last(RECENT_SECONDS, now, step=DAY_STEP)
    past = measure_past([alert.rule for alert in alerts], span)
    return [_recent(alert.rule, values) for alert, values in zip(alerts, past, strict=True)]


def _recent(rule: AlertRule, values: Values) -> Recent | None:
    if not values:
        return None
    drawn = [value for _at, value in values]
    top = max(max((value for value in drawn if value is not None), default=0), rule.threshold)
    return Recent(sparklines.line(drawn, top), sparklines.area(drawn, top), sparklines.height_of(rule.threshold, top))


def _figure(rule: AlertRule, span: Span, values: Values, episodes: Iterable[Episode]) -> Figure:
    """The value as the rule saw it, thinned to five minutes: peaks are kept on the side that the rule watches."""
    keep, thin = (max if rule.operator == ">" else min), last(DAY_SECONDS, span.end, step=5 * DAY_STEP)
    drawn: list[float | None] = [None] * len(thin)
    for at, value in values:
        index = thin.index(at - timedelta(seconds=1))
        if index is not None and value is not None:
            known = drawn[index]
            drawn[index] = value if known is None else keep(known, value)
    metric = METRICS[rule.metric]
    return figure(
        thin,
        [Line(_("measured"), drawn)],
        unit=metric.unit,
        thresholds=[threshold_of(rule)],
        stretches=[Stretch(one.fired, one.ended) for one in episodes],
    )
