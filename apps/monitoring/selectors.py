"""Reading rules, alerts and channels, as far as an actor can see; and what the rail's badges count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Case, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.deployments.models import Deployment
from apps.monitoring.charts import Mark
from apps.monitoring.models import Alert, AlertRule, Channel, Delivery
from apps.monitoring.spans import Span
from apps.releases.selectors import waiting_for
from apps.targets.models import Endpoint

MOST_MARKS = 12
OPEN = (Alert.State.FIRING, Alert.State.ACKNOWLEDGED)


@dataclass(frozen=True)
class Badges:
    """What waits for somebody: releases this person could decide now, and alerts nobody has acknowledged."""

    reviews: int
    firing: int


def badges(actor: Actor, project: Project) -> Badges:
    return Badges(
        reviews=waiting_for(actor).filter(project=project).count(),
        firing=Alert.objects.filter(rule__project=project, state=Alert.State.FIRING).count(),
    )


def alerts(actor: Actor, project: Project) -> QuerySet[Alert]:
    """The alerts that fired, and those that are about to; newest first."""
    return (
        Alert.objects.visible_to(actor)
        .filter(rule__project=project)
        .exclude(state=Alert.State.RESOLVED, fired_at__isnull=True)
        .select_related("rule__endpoint", "rule__project", "acknowledged_by")
    )


def open_alerts(actor: Actor, project: Project) -> QuerySet[Alert]:
    """Firing first, then acknowledged; the worst and the oldest first."""
    rank = Case(
        When(rule__severity="critical", then=Value(0)),
        When(rule__severity="warning", then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    is_quiet = Case(When(state=Alert.State.FIRING, then=Value(0)), default=Value(1), output_field=IntegerField())
    return alerts(actor, project).filter(state__in=OPEN).order_by(is_quiet, rank, "fired_at")


def get_alert(actor: Actor, project: Project, pk: int) -> Alert:
    found = alerts(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("There is no alert %(pk)s in this project.") % {"pk": pk})
    return found


def rules(actor: Actor, project: Project) -> QuerySet[AlertRule]:
    """The project's rules, with the state of the open alert each has (``standing``; None without one)."""
    standing = Alert.objects.filter(rule=OuterRef("pk")).exclude(state=Alert.State.RESOLVED).values("state")[:1]
    return (
        AlertRule.objects.visible_to(actor)
        .filter(project=project)
        .select_related("endpoint", "project", "created_by")
        .prefetch_related("channels")
        .annotate(standing=Subquery(standing))
    )


def get_rule(actor: Actor, project: Project, pk: int) -> AlertRule:
    found = rules(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("There is no alert rule %(pk)s in this project.") % {"pk": pk})
    return found


def channels(actor: Actor, project: Project) -> QuerySet[Channel]:
    """The project's channels, with how the newest delivery of each went (``last_state``; None before the first)."""
    last = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-pk").values("state")[:1]
    return (
        Channel.objects.visible_to(actor)
        .filter(project=project)
        .select_related("project")
        .annotate(last_state=Subquery(last))
    )


def get_channel(actor: Actor, project: Project, pk: int) -> Channel:
    found = channels(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("There is no channel %(pk)s in this project.") % {"pk": pk})
    return found


def deliveries(actor: Actor, channel: Channel) -> QuerySet[Delivery]:
    """What was sent, or is to be sent, over a channel, newest first."""
    return Delivery.objects.visible_to(actor).filter(channel=channel).select_related("alert__rule")


def ran_in(endpoints: Iterable[Endpoint], span: Span) -> QuerySet[Deployment]:
    """The deployments of these endpoints that ran in a span, newest first."""
    rows = Deployment.objects.filter(endpoint__in=list(endpoints), created_at__lt=span.end)
    return rows.exclude(ended_at__lt=span.start).select_related("release__version__model").order_by("-pk")


def marks(endpoints: Sequence[Endpoint], span: Span) -> dict[int, list[Mark]]:
    """When which release went live in a span, by endpoint: the newest few of each, oldest first."""
    rows = Deployment.objects.filter(
        Q(live_at__gte=span.start, live_at__lt=span.end), endpoint__in=endpoints
    ).select_related("release__version__model")
    found: dict[int, list[Mark]] = {}
    for row in rows.order_by("live_at"):
        assert row.live_at is not None  # as asked for above
        found.setdefault(row.endpoint_id, []).append(Mark(row.live_at, f"v{row.release.version.number}"))
    return {endpoint: marks[-MOST_MARKS:] for endpoint, marks in found.items()}
