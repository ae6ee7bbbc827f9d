"""One stretch of an endpoint's time, as a rule a minute: what was measured, by deployment, and which logs are left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.core.actors import Actor
from apps.deployments.models import Deployment, Replica
from apps.monitoring.happenings import Happening, happenings
from apps.monitoring.loglines import Kept, lines_between
from apps.monitoring.rollup import MINUTE
from apps.monitoring.selectors import ran_in
from apps.monitoring.series import Track, by_both, fitted, read_tracks
from apps.monitoring.spans import Span, between, bounds, finest_step
from apps.monitoring.totals import Totals
from apps.targets.models import Endpoint

AROUND = timedelta(minutes=10)
MOST_SLICES = 60  # of a stretch that is longer than a minute
WORST_SLICES = 10


@dataclass(frozen=True)
class Share:
    """What one deployment did in the stretch; without one, what the gateway answered because no replica was ready."""

    deployment: Deployment | None
    totals: Totals

    @property
    def outcomes(self) -> dict[str, int]:
        """How many calls ended how, in the order of a table."""
        return {kind: self.totals.counts.get(kind, 0) for kind in ("2xx", "4xx", "429", "5xx", "gone")}

    @property
    def percentiles(self) -> list[float | None]:
        return self.totals.percentiles(50, 90, 99)


@dataclass(frozen=True)
class Slice:
    """One step of a longer stretch, to look into."""

    span: Span
    requests: int
    failed: int
    p99: float | None


@dataclass(frozen=True)
class ReplicaLog:
    """What one replica wrote in the stretch, as far as it is kept."""

    name: str
    kept: Kept


@dataclass(frozen=True)
class Moment:
    """``logs`` is None for those who may not read logs; ``logless`` are deployments whose replicas are gone."""

    shares: list[Share]
    worst: list[Slice]
    happenings: list[Happening]
    logs: list[ReplicaLog] | None
    logless: list[Deployment]


def stretch_of(query: Mapping[str, str], now: datetime) -> Span:
    """The stretch that an address names, in whole minutes, or in what is still kept of its time; else the last hour."""
    start, end = bounds(query, now)
    step = max(MINUTE, finest_step((end - start).total_seconds(), MOST_SLICES))
    return fitted(between(start, end, step=step), now).filled


def read_moment(actor: Actor, endpoint: Endpoint, span: Span) -> Moment:
    """Everything about the stretch that this person may see."""
    ran = {row.pk: row for row in ran_in([endpoint], span)}
    tracks = read_tracks([endpoint.pk], span, by_both)
    whole = tracks.pop(endpoint.pk, None)
    may_read_logs = actor.may("deployment.logs", endpoint.project)
    logs = _logs(ran, span) if may_read_logs else {}
    return Moment(
        shares=[Share(ran.get(pk), track.whole) for (_endpoint, pk), track in sorted(tracks.items(), key=_newest)],
        worst=_worst(whole, span) if whole and len(span) > 1 else [],
        happenings=happenings(actor, endpoint, span, AROUND),
        logs=[log for logs_of_one in logs.values() for log in logs_of_one] if may_read_logs else None,
        logless=[ran[pk] for pk in ran if may_read_logs and pk not in logs],
    )


def _newest(item: tuple[tuple[int, int | None], Track]) -> int:
    return -(item[0][1] or 0)


def _worst(whole: Track, span: Span) -> list[Slice]:
    """The steps with the largest share of failed calls, then the slowest, in order of time."""
    found = [
        (point.counts.get("5xx", 0) / point.requests, point.percentiles[2] or 0.0, index)
        for index, point in enumerate(whole.points)
        if point and point.requests
    ]
    return [_slice(whole, span, index) for index in sorted(index for *_rank, index in sorted(found)[-WORST_SLICES:])]


def _slice(whole: Track, span: Span, index: int) -> Slice:
    point, start = whole.points[index], span.starts[index]
    assert point is not None  # as chosen above
    own = between(start, start + timedelta(seconds=span.step), step=span.step)
    return Slice(own, point.requests, point.counts.get("5xx", 0), point.percentiles[2])


def _logs(deployments: Iterable[int], span: Span) -> dict[int, list[ReplicaLog]]:
    """The replicas' lines by deployment, the newest deployment first."""
    rows = Replica.objects.filter(deployment__in=list(deployments)).order_by("-deployment", "index")
    found: dict[int, list[ReplicaLog]] = {}
    for deployment, name, text in rows.values_list("deployment_id", "name", "log"):
        kept = lines_between(text.splitlines(), span.start, span.end)
        found.setdefault(deployment, []).append(ReplicaLog(name, kept))
    return found
