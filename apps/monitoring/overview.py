"""What the overview answers: what waits for me, is all well, and what changed last. A fixed number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Min
from django.utils import timezone

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.deployments.models import Deployment
from apps.deployments.selectors import UNHEALTHY_FIRST, routed, state_word, with_known
from apps.monitoring import sparklines
from apps.monitoring.first_steps import FirstSteps, first_steps
from apps.monitoring.models import Alert
from apps.monitoring.selectors import open_alerts
from apps.monitoring.series import Track, read_calls, read_tracks
from apps.monitoring.spans import last
from apps.monitoring.waiting import Waiting, waiting
from apps.releases.models import Release, Review
from apps.targets.models import Endpoint

CARD_SECONDS, CARD_STEP = 1800, 60
DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
MOST_CHANGES = 10


@dataclass(frozen=True)
class Card:
    """One endpoint at a glance. Figures are of the last half hour; None where there was no traffic."""

    endpoint: Endpoint
    state: str
    ready: int
    wanted: int
    deployment: Deployment | None
    rps: float
    p99: float | None
    error_share: float | None
    spark_line: str
    spark_area: str
    alerts: int

    @property
    def rank(self) -> tuple[int, int, str]:
        return (-self.alerts, UNHEALTHY_FIRST.index(self.state), self.endpoint.name)


@dataclass(frozen=True)
class Change:
    """One line of the feed: who did what to which release, and when."""

    kind: str  # deployment, approve, reject
    at: datetime
    release: Release
    person: object
    deployment: Deployment | None = None


@dataclass(frozen=True)
class Figures:
    """The row of figures. ``seconds_to_live`` is the median from upload to first traffic over a month, if any."""

    up: int
    endpoints: int
    requests: int
    error_share: float | None
    deployments: int
    seconds_to_live: float | None


@dataclass(frozen=True)
class Overview:
    waiting: Waiting
    cards: list[Card]
    alerts: list[Alert]
    changes: list[Change]
    figures: Figures
    steps: FirstSteps | None

    @property
    def is_new(self) -> bool:
        """Nothing has been served yet, so that the next step matters more than figures."""
        return not self.cards or all(card.state == "empty" for card in self.cards)


def overview(actor: Actor, project: Project, now: datetime | None = None) -> Overview:
    """Everything on the page, for this person."""
    now = now or timezone.now()
    alerts = list(open_alerts(actor, project))
    found = cards(project, alerts, now)
    told = figures(project, found, now)
    return Overview(
        waiting=waiting(actor, project, alerts, now),
        cards=found,
        alerts=alerts,
        changes=changes(project),
        figures=told,
        steps=None if told.requests else first_steps(project),
    )


def cards(project: Project, alerts: Iterable[Alert], now: datetime) -> list[Card]:
    """Every endpoint of the project, unhealthy first."""
    endpoints = list(with_known(Endpoint.objects.filter(project=project).select_related("environment")))
    span = last(CARD_SECONDS, now, step=CARD_STEP)
    tracks = read_tracks([endpoint.pk for endpoint in endpoints], span, wanted=())
    firing: dict[int, int] = {}
    for alert in alerts:
        firing[alert.rule.endpoint_id] = firing.get(alert.rule.endpoint_id, 0) + 1
    nothing = Track([None] * len(span))
    made = [_card(one, tracks.get(one.pk, nothing), firing.get(one.pk, 0)) for one in endpoints]
    return sorted(made, key=lambda card: card.rank)


def changes(project: Project) -> list[Change]:
    """The last deployments and decisions, newest first."""
    related = ("release__version__model", "release__endpoint")
    started = Deployment.objects.filter(project=project).select_related("started_by", *related)[:MOST_CHANGES]
    decided = Review.objects.filter(release__project=project).select_related("reviewer", *related)
    rows = [Change("deployment", one.created_at, one.release, one.started_by, one) for one in started]
    rows += [
        Change(one.decision, one.created_at, one.release, one.reviewer)
        for one in decided.order_by("-pk")[:MOST_CHANGES]
    ]
    return sorted(rows, key=lambda change: change.at, reverse=True)[:MOST_CHANGES]


def figures(project: Project, found: Sequence[Card], now: datetime) -> Figures:
    day = last(int(DAY.total_seconds()), now, step=3600)
    requests, failed = read_calls([card.endpoint.pk for card in found], day)
    served = [card for card in found if card.state != "empty"]
    return Figures(
        up=sum(card.state in ("running", "degraded") for card in served),
        endpoints=len(served),
        requests=requests,
        error_share=100 * failed / requests if requests else None,
        deployments=Deployment.objects.filter(project=project, live_at__gte=now - WEEK).count(),
        seconds_to_live=_seconds_to_live(project, now),
    )


def _card(endpoint: Endpoint, track: Track, alerts: int) -> Card:
    known: list[Deployment] = endpoint.known  # type: ignore[attr-defined]
    taking = routed(known)
    recent = [point for point in track.points[-6:] if point]
    return Card(
        endpoint=endpoint,
        state=state_word(known),
        ready=sum(one.ready for one in taking),
        wanted=sum(one.replicas for one in taking),
        deployment=next(iter(taking or known), None),
        rps=sum(point.rps for point in recent) / 6,
        p99=track.whole.percentiles(99)[0],
        error_share=track.whole.error_share,
        spark_line=sparklines.line(track.rps()),
        spark_area=sparklines.area(track.rps()),
        alerts=alerts,
    )


def _seconds_to_live(project: Project, now: datetime) -> float | None:
    """Median seconds from upload to first traffic, over versions that first went live in the last month."""
    rows = (
        Deployment.objects.filter(project=project, live_at__isnull=False)
        .order_by()
        .values_list("release__version_id", "release__version__created_at")
        .annotate(first=Min("live_at"))
        .filter(first__gte=now - MONTH)
        .values_list("release__version__created_at", "first")
    )
    times = [(live_at - created_at).total_seconds() for created_at, live_at in rows]
    return median(times) if times else None
