"""Reading measurements as series: windows and samples of a span, step by step, ready to be drawn or judged."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Avg, Max, Q, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone

from apps.monitoring.latencies import Latencies
from apps.monitoring.models import Sample, Window
from apps.monitoring.rollup import FINE, HOUR, KEPT, RESOLUTIONS
from apps.monitoring.spans import Span, between
from apps.monitoring.steps import StepOf
from apps.monitoring.totals import SERVER_ERRORS, Totals

PERCENTILES = (50, 90, 99, 99.9)

_COLUMNS = (
    "endpoint_id",
    "deployment_id",
    "start",
    "source",
    "counts",
    "errors",
    "bytes_in",
    "bytes_out",
    "in_flight_max",
    "histogram",
)


@dataclass(frozen=True)
class Row:
    """One stored window, as much of it as a sum needs."""

    endpoint: int
    deployment: int | None
    start: datetime
    source: str
    counts: dict[str, int]
    errors: dict[str, int]
    bytes_in: int
    bytes_out: int
    in_flight: int
    histogram: bytes

    @cached_property
    def latencies(self) -> Latencies:
        """The histogram, opened once however many sums it goes into."""
        return Latencies.of(self.histogram)

    def add_to(self, totals: Totals) -> None:
        totals.add_counts(self.counts, self.errors)
        totals.bytes_in += self.bytes_in
        totals.bytes_out += self.bytes_out
        totals.note_in_flight((self.deployment, self.source), self.in_flight)
        totals.merge_latencies(self.latencies)


KeysOf = Callable[[Row], Iterable[Hashable]]


@dataclass(frozen=True)
class Point:
    """One step of a series. ``percentiles`` (ms) are those its track wants; None where no call has a latency."""

    requests: int
    rps: float
    counts: dict[str, int]
    bytes_in: int
    bytes_out: int
    in_flight: int
    percentiles: list[float | None]


@dataclass
class Track:
    """The points of one endpoint, deployment or whatever the key was; None where nothing happened."""

    points: list[Point | None]
    whole: Totals = field(default_factory=Totals)
    wanted: Sequence[float] = PERCENTILES

    def rps(self) -> list[float]:
        """Requests per second: silence is zero."""
        return [point.rps if point else 0.0 for point in self.points]

    def share(self, outcome: str) -> list[float | None]:
        """Percent of requests with this outcome; a gap where there were none."""
        return [
            100 * point.counts.get(outcome, 0) / point.requests if point and point.requests else None
            for point in self.points
        ]

    def percentile(self, wanted: float) -> list[float | None]:
        """Milliseconds; a gap where there were no calls."""
        index = self.wanted.index(wanted)
        return [point.percentiles[index] if point else None for point in self.points]

    def in_flight(self) -> list[int]:
        return [point.in_flight if point else 0 for point in self.points]


@dataclass(frozen=True)
class Resources:
    """CPU (percent of one core) and memory (MB) of one replica, a gap where it was not seen."""

    deployment: int
    cpu: list[float | None]
    memory: list[float | None]


def by_endpoint(row: Row) -> tuple[int]:
    """One track for each endpoint, by its id."""
    return (row.endpoint,)


def by_deployment(row: Row) -> tuple[tuple[int, int | None]]:
    """One track for each deployment, by the ids of its endpoint and its own."""
    return ((row.endpoint, row.deployment),)


def by_both(row: Row) -> tuple[int, tuple[int, int | None]]:
    """The tracks of both, read once."""
    return row.endpoint, (row.endpoint, row.deployment)


def read_tracks(
    endpoints: Collection[int], span: Span, keys_of: KeysOf = by_endpoint, *, wanted: Sequence[float] = PERCENTILES
) -> dict[Any, Track]:
    """A track by key for the endpoints' windows in ``span``, with the percentiles ``wanted`` of each step.

    A key without windows has none. Steps are finished one after the other, so that memory holds one step's histograms
    and not all of them.
    """
    tracks: dict[Any, Track] = {}
    step, running = None, {}  # type: tuple[int | None, dict[Hashable, Totals]]
    for row in read_rows(endpoints, span):
        index = span.index(row.start)
        if index != step:
            _finish(tracks, running, span, step, wanted)
            step, running = index, {}
        for key in keys_of(row):
            row.add_to(running.setdefault(key, Totals()))
    _finish(tracks, running, span, step, wanted)
    return tracks


def read_whole(endpoints: Collection[int], span: Span, keys_of: KeysOf = by_endpoint) -> dict[Any, Totals]:
    """The totals of the whole span by key."""
    totals: dict[Any, Totals] = {}
    for row in read_rows(endpoints, span):
        for key in keys_of(row):
            row.add_to(totals.setdefault(key, Totals()))
    return totals


def read_rows(endpoints: Collection[int], span: Span) -> Iterator[Row]:
    """The windows of a span in order of time."""
    if endpoints:
        for values in _windows(endpoints, span).order_by("start").values_list(*_COLUMNS).iterator():
            yield Row(*values)


def read_calls(endpoints: Collection[int], span: Span) -> tuple[int, int]:
    """How many requests came in a span, and how many of them failed (5xx): added up by the database."""
    if not endpoints:
        return 0, 0
    failed = Cast(KeyTextTransform(SERVER_ERRORS, "counts"), models.IntegerField())
    found = _windows(endpoints, span).aggregate(requests=Sum("requests"), failed=Sum(failed))
    return found["requests"] or 0, found["failed"] or 0


def read_resources(deployments: Collection[int], span: Span) -> dict[str, Resources]:
    """CPU and memory by replica name, averaged over each step."""
    found: dict[str, Resources] = {}
    rows = (
        Sample.objects.filter(deployment__in=deployments, at__gte=span.start, at__lt=span.end)
        .annotate(step=StepOf("at", span))
        .order_by()
        .values_list("replica_name", "deployment_id", "step")
        .annotate(cpu_mean=Avg("cpu"), memory_most=Max("memory_bytes"))
    )
    for name, deployment, index, cpu, memory in rows:
        line = found.get(name)
        if line is None:
            line = found[name] = Resources(deployment, [None] * len(span), [None] * len(span))
        if 0 <= index < len(span):
            line.cpu[index], line.memory[index] = 100 * cpu, memory / 1e6
    return dict(sorted(found.items()))


def fitted(span: Span, now: datetime | None = None) -> Span:
    """The same stretch in steps that what is still kept from its start can fill."""
    age = (now or timezone.now()) - span.start
    kept = next((seconds for seconds in RESOLUTIONS if age < KEPT[seconds]), HOUR)
    if span.step >= kept:
        return span
    return between(span.start, span.end, step=kept, preset=span.preset)


def _windows(endpoints: Collection[int], span: Span) -> models.QuerySet[Window]:
    """The coarsest windows that fit the steps of a span, finer ones at its recent end."""
    stretches = Q()
    for seconds, start, end in _stretches(span):
        stretches |= Q(seconds=seconds, start__gte=start, start__lt=end)
    return Window.objects.filter(stretches, endpoint__in=endpoints)


def _stretches(span: Span) -> Sequence[tuple[int, datetime, datetime]]:
    """Which resolution to read from when to when: coarse up to where it has been rolled up, then finer."""
    usable = [seconds for seconds in reversed(RESOLUTIONS) if span.step % seconds == 0 and seconds <= span.step] or [
        FINE
    ]
    stretches, start = [], span.start
    for seconds in usable:
        end = span.end if seconds == FINE else min(span.end, _rolled_up_to(seconds))
        if end > start:
            stretches.append((seconds, start, end))
            start = end
    return stretches or [(FINE, span.start, span.end)]


def _rolled_up_to(seconds: int) -> datetime:
    last = Window.objects.filter(seconds=seconds).order_by("-start").values_list("start", flat=True).first()
    return last + timedelta(seconds=seconds) if last else datetime.min.replace(tzinfo=timezone.get_default_timezone())


def _finish(
    tracks: dict[Any, Track], running: dict[Hashable, Totals], span: Span, index: int | None, wanted: Sequence[float]
) -> None:
    if index is None:
        return
    for key, totals in running.items():
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = Track([None] * len(span), wanted=wanted)
        track.points[index] = _point(totals, span.seconds_in(index), wanted)
        track.whole.merge(totals)


def _point(totals: Totals, seconds: float, wanted: Sequence[float]) -> Point:
    return Point(
        requests=totals.requests,
        rps=totals.requests / seconds,
        counts=totals.counts,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
        in_flight=totals.in_flight_max,
        percentiles=totals.percentiles(*wanted),
    )
