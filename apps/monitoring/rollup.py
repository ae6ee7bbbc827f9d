"""Making long memories small: ten-second windows into minutes and so on up to days, and forgetting in batches."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import models, transaction
from django.db.models import Min, Sum
from django.utils import timezone

from apps.core.histograms import merge
from apps.monitoring import partitions
from apps.monitoring.models import Alert, Delivery, Sample, Window
from apps.monitoring.spans import LAG_SECONDS, Span, floor
from apps.monitoring.steps import StepOf
from apps.monitoring.totals import Totals

FINE, MINUTE, FIVE_MINUTES, QUARTER, HOUR, FOUR_HOURS, DAY = 10, 60, 300, 900, 3600, 4 * 3600, 86400
KEPT = {
    FINE: timedelta(days=2),
    MINUTE: timedelta(days=14),
    FIVE_MINUTES: timedelta(days=31),
    QUARTER: timedelta(days=62),
    HOUR: timedelta(days=366),
    FOUR_HOURS: timedelta(days=366),
    DAY: timedelta(days=366),
}
RESOLUTIONS = tuple(KEPT)  # each is made of the one before; pages draw in steps of these
SAMPLES_KEPT = timedelta(days=2)
DELIVERIES_KEPT = timedelta(days=90)
PENDING_KEPT = timedelta(days=1)  # alerts that ended before they fired

#: How far back late windows are looked for, or two steps: a gateway keeps what was not collected for 15 minutes.
LATE = timedelta(minutes=20)
BATCH = 2000
BATCHES_AT_ONCE = 25

Key = tuple[int, int | None, datetime]  # endpoint, deployment, start


def roll_up(now: datetime | None = None) -> int:
    """Make every coarse window that is missing, or that late fine ones have outgrown; return how many.

    Running it twice changes nothing: what to do is found by comparing the sums. A few queries when there is nothing to
    do.
    """
    now = now or timezone.now()
    return sum(_roll_up(fine, coarse, now) for fine, coarse in pairwise(RESOLUTIONS))


def forget(now: datetime | None = None) -> int:
    """Delete what is older than it is kept, in batches that never hold the database for long; return how many rows.

    Where fine measurements are kept by the day, whole days go at once and are not counted.
    """
    now = now or timezone.now()
    old: list[models.QuerySet[Any]] = [
        Window.objects.filter(seconds=seconds, start__lt=now - KEPT[seconds]) for seconds in RESOLUTIONS[1:]
    ]
    old.append(Delivery.objects.filter(created_at__lt=now - DELIVERIES_KEPT, due_at__isnull=True))
    old.append(
        Alert.objects.filter(state=Alert.State.RESOLVED, fired_at__isnull=True, resolved_at__lt=now - PENDING_KEPT)
    )
    return sum(_delete(rows) for rows in old) + _forget_fine(now)


def _forget_fine(now: datetime) -> int:
    windows, samples = now - KEPT[FINE], now - SAMPLES_KEPT
    if partitions.are_used():
        kinds = ((partitions.FINE_WINDOWS, windows), (partitions.SAMPLES, samples))
        return sum(partitions.drop_before(daily, moment) for daily, moment in kinds)
    return _delete(Window.objects.filter(seconds=FINE, start__lt=windows)) + _delete(
        Sample.objects.filter(at__lt=samples)
    )


def _roll_up(fine: int, coarse: int, now: datetime) -> int:
    span = _stretch(fine, coarse, now)
    if span is None:
        return 0
    made = _sums(coarse, span)
    stale = {key for key, requests in _sums(fine, span).items() if requests > made.get(key, -1)}
    if stale:
        _make(fine, coarse, stale)
    return len(stale)


def _stretch(fine: int, coarse: int, now: datetime) -> Span | None:
    """Where work may be: since the last coarse window (or the first fine one), up to the last whole step."""
    end = floor(now - timedelta(seconds=LAG_SECONDS), coarse)
    last = Window.objects.filter(seconds=coarse).order_by("-start").values_list("start", flat=True).first()
    first = last or Window.objects.filter(seconds=fine).aggregate(first=Min("start"))["first"]
    if first is None:
        return None
    start = floor(min(first, end - max(LATE, timedelta(seconds=2 * coarse))), coarse)
    return Span(start, end, coarse) if start < end else None


def _sums(seconds: int, span: Span) -> dict[Key, int]:
    rows = (
        Window.objects.filter(seconds=seconds, start__gte=span.start, start__lt=span.end)
        .annotate(step=StepOf("start", span))
        .order_by()
        .values_list("endpoint_id", "deployment_id", "step")
        .annotate(total=Sum("requests"))
    )
    return {(endpoint, deployment, span.starts[step]): total for endpoint, deployment, step, total in rows}


def _make(fine_seconds: int, seconds: int, keys: set[Key]) -> None:
    starts = {start for _endpoint, _deployment, start in keys}
    fine: dict[Key, list[Window]] = {key: [] for key in keys}
    last = max(starts) + timedelta(seconds=seconds)
    rows = Window.objects.filter(seconds=fine_seconds, start__gte=min(starts), start__lt=last)
    for row in rows.filter(endpoint__in={key[0] for key in keys}).iterator():
        key = (row.endpoint_id, row.deployment_id, floor(row.start, seconds))
        if key in fine:
            fine[key].append(row)
    with transaction.atomic():
        outgrown = Window.objects.filter(seconds=seconds, start__in=starts)
        found = outgrown.values_list("pk", "endpoint_id", "deployment_id", "start")
        Window.objects.filter(pk__in=[pk for pk, *key in found if tuple(key) in keys]).delete()
        made = [_merged(seconds, key, parts) for key, parts in fine.items()]
        Window.objects.bulk_create(made, ignore_conflicts=True)  # another worker may be making the same


def _merged(seconds: int, key: Key, parts: Iterable[Window]) -> Window:
    totals, parts = Totals(), list(parts)
    for part in parts:
        totals.add_counts(part.counts, part.errors)
        totals.note_in_flight(part.source, part.in_flight_max)
    endpoint, deployment, start = key
    return Window(
        endpoint_id=endpoint,
        deployment_id=deployment,
        start=start,
        seconds=seconds,
        requests=totals.requests,
        counts=totals.counts,
        errors=totals.errors,
        bytes_in=sum(part.bytes_in for part in parts),
        bytes_out=sum(part.bytes_out for part in parts),
        in_flight_max=totals.in_flight_max,
        histogram=merge(bytes(part.histogram).decode() for part in parts).encode(),
    )


def _delete(rows: models.QuerySet) -> int:
    deleted = 0
    for _batch in range(BATCHES_AT_ONCE):
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            break
        rows.model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
