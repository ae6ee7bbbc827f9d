"""What every rule's metric amounts to: now, and over past time for a preview."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Avg, Count, Max

from apps.deployments.models import Replica
from apps.monitoring.intake import is_gateway_heard
from apps.monitoring.metrics import METRICS, ZERO_IN_SILENCE
from apps.monitoring.models import AlertRule, Sample
from apps.monitoring.selectors import ran_in
from apps.monitoring.series import Resources, read_resources, read_rows, read_whole
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


def measure_past(rules: Sequence[AlertRule], span: Span) -> list[Values]:
    """What each rule would have seen at the end of each step of a past span; empty where the past was not recorded.

    A few queries, however many rules there are. How many replicas were ready at some time is kept nowhere.
    """
    found = _past_windows([rule for rule in rules if _source(rule) == "windows"], span)
    found |= _past_samples([rule for rule in rules if _source(rule) == "samples"], span)
    return [found.get(id(rule), []) for rule in rules]


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


def _past_windows(rules: Sequence[AlertRule], span: Span) -> dict[int, Values]:
    """By the rule's identity: a rule that is only tried has no id yet."""
    if not rules:
        return {}
    early = between(
        span.start - timedelta(seconds=max(rule.window_seconds for rule in rules)), span.end, step=span.step
    )
    steps: dict[int, dict[int, Totals]] = defaultdict(lambda: defaultdict(Totals))
    for row in read_rows({rule.endpoint_id for rule in rules}, early):
        index = early.index(row.start)
        if index is not None:
            row.add_to(steps[row.endpoint][index])
    return {id(rule): _slid(rule, steps[rule.endpoint_id], early, span) for rule in rules}


def _slid(rule: AlertRule, steps: Mapping[int, Totals], early: Span, span: Span) -> Values:
    """The rule's window moved along the steps of ``early``, read from where ``span`` begins."""
    if not steps:
        return []
    metric, width = METRICS[rule.metric], max(1, rule.window_seconds // span.step)
    begin = max(len(early) - len(span), min(steps))  # nothing is known of the time before the first window
    recent: deque[Totals] = deque((steps.get(index, Totals()) for index in range(begin - width + 1, begin)), width)
    values: Values = []
    for index in range(begin, len(early)):
        recent.append(steps.get(index, Totals()))
        total = merged(recent) if width > 1 else recent[0]
        is_silent = not total.requests and rule.metric not in ZERO_IN_SILENCE
        at = early.starts[index] + timedelta(seconds=span.step)
        values.append((at, None if is_silent else metric.read(total, width * span.step)))
    return values


def _past_samples(rules: Sequence[AlertRule], span: Span) -> dict[int, Values]:
    if not rules:
        return {}
    endpoint_of = dict(ran_in({rule.endpoint for rule in rules}, span).values_list("pk", "endpoint_id"))
    by_endpoint: dict[int, list[Resources]] = defaultdict(list)
    for one in read_resources(list(endpoint_of), span).values():
        by_endpoint[endpoint_of[one.deployment]].append(one)
    return {id(rule): _highest(rule, by_endpoint[rule.endpoint_id], span) for rule in rules}


def _highest(rule: AlertRule, resources: Sequence[Resources], span: Span) -> Values:
    """The busiest or the largest replica at each step."""
    values: Values = []
    for index, at in enumerate(span.starts):
        seen = [getattr(one, rule.metric)[index] for one in resources]
        values.append((at, max((value for value in seen if value is not None), default=None)))
    return values if any(value is not None for _at, value in values) else []
