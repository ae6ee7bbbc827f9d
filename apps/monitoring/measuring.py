"""What every rule's metric amounts to: now, and over past time for a preview."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Avg, Count, Max

from apps.deployments.models import Replica
from apps.monitoring.intake import is_gateway_heard
from apps.monitoring.metrics import METRICS, ZERO_IN_SILENCE
from apps.monitoring.models import AlertRule, Sample
from apps.monitoring.series import read_resources, read_rows, read_whole
from apps.monitoring.spans import Span, between, last
from apps.monitoring.totals import Totals, merged

Values = list[tuple[datetime, float | None]]


def measure(rules: Sequence[AlertRule], now: datetime) -> dict[int, float | None]:
    """Each rule's present value by its id; None where nothing was measured.

    A few queries for each different window length, however many rules there are. Silence is zero requests only while a
    gateway is heard; a rule that waits for too few requests takes it as zero in any case, since that is what it is for.
    """
    values: dict[int, float | None] = {}
    by_window = defaultdict(list)
    for rule in rules:
        by_window[rule.window_seconds].append(rule)
    ready = _replicas_ready(rules)
    is_heard = is_gateway_heard()
    for seconds, group in by_window.items():
        span = last(seconds, now)
        whole = read_whole({rule.endpoint_id for rule in group if _source(rule) == "windows"}, span)
        samples = _resources({rule.endpoint_id for rule in group if _source(rule) == "samples"}, span)
        for rule in group:
            if _source(rule) == "windows":
                values[rule.pk] = _from_windows(rule, whole.get(rule.endpoint_id), seconds, is_heard)
            elif _source(rule) == "samples":
                values[rule.pk] = samples.get(rule.endpoint_id, {}).get(rule.metric)
            else:
                values[rule.pk] = ready.get(rule.endpoint_id)
    return values


def measure_past(rule: AlertRule, deployments: Collection[int], span: Span) -> Values:
    """What the rule would have seen at the end of each step of a past span; empty where the past was not recorded.

    ``deployments`` are those of the rule's endpoint, for its replicas' samples. How many replicas were ready at some
    time is kept nowhere.
    """
    source = _source(rule)
    if source == "windows":
        return _past_windows(rule, span)
    return _past_samples(rule, deployments, span) if source == "samples" else []


def _source(rule: AlertRule) -> str:
    return METRICS[rule.metric].source


def _from_windows(rule: AlertRule, totals: Totals | None, seconds: float, is_heard: bool) -> float | None:
    if totals is not None:
        return METRICS[rule.metric].read(totals, seconds)
    waits_for_silence = rule.metric == "requests" and rule.operator == "<"
    return 0.0 if rule.metric in ZERO_IN_SILENCE and (is_heard or waits_for_silence) else None


def _resources(endpoints: Collection[int], span: Span) -> dict[int, dict[str, float]]:
    """The busiest and the largest replica's mean over the span, by endpoint."""
    if not endpoints:
        return {}
    rows = (
        Sample.objects.filter(deployment__endpoint__in=endpoints, at__gte=span.start, at__lt=span.end)
        .order_by()
        .values("deployment__endpoint_id", "replica_name")
        .annotate(cpu_mean=Avg("cpu"), memory_most=Max("memory_bytes"))
    )
    found: dict[int, dict[str, float]] = defaultdict(lambda: {"cpu": 0.0, "memory": 0.0})
    for row in rows:
        highest = found[row["deployment__endpoint_id"]]
        highest["cpu"] = max(highest["cpu"], 100 * row["cpu_mean"])
        highest["memory"] = max(highest["memory"], row["memory_most"] / 1e6)
    return found


def _replicas_ready(rules: Iterable[AlertRule]) -> dict[int, float]:
    """How many replicas run, by endpoint; endpoints where none is wanted are left out."""
    endpoints = {rule.endpoint_id for rule in rules if _source(rule) == "replicas"}
    if not endpoints:
        return {}
    rows = (
        Replica.objects.filter(deployment__endpoint__in=endpoints, deployment__is_wanted=True)
        .order_by()
        .values_list("deployment__endpoint_id", "state")
        .annotate(number=Count("pk"))
    )
    ready: dict[int, float] = defaultdict(float)
    for endpoint, state, number in rows:
        ready[endpoint] += number if state == Replica.State.RUNNING else 0
    return ready


def _past_windows(rule: AlertRule, span: Span) -> Values:
    metric, width = METRICS[rule.metric], max(1, rule.window_seconds // span.step)
    early = between(span.start - timedelta(seconds=rule.window_seconds), span.end, step=span.step)
    steps: dict[int, Totals] = defaultdict(Totals)
    for row in read_rows({rule.endpoint_id}, early):
        index = early.index(row.start)
        if index is not None:
            row.add_to(steps[index])
    if not steps:
        return []
    first, recent, values = min(steps), deque(maxlen=width), []  # type: int, deque[Totals], Values
    for index in range(len(early)):
        recent.append(steps.pop(index, Totals()))
        if index < max(width, first):  # nothing is known of the time before the first window
            continue
        total = merged(recent)
        is_silent = not total.requests and rule.metric not in ZERO_IN_SILENCE
        at = early.starts[index] + timedelta(seconds=span.step)
        values.append((at, None if is_silent else metric.read(total, width * span.step)))
    return values


def _past_samples(rule: AlertRule, deployments: Collection[int], span: Span) -> Values:
    resources = read_resources(deployments, span).values()
    values: Values = []
    for index, at in enumerate(span.starts):
        seen = [getattr(one, rule.metric)[index] for one in resources]
        values.append((at, max((value for value in seen if value is not None), default=None)))
    return values if any(value is not None for _at, value in values) else []
