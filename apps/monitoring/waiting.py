"""What waits for one person: to be decided, repaired, started, acknowledged or renewed. Only what they may act on."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from apps.accounts.models import EXPIRES_SOON, ApiKey, Project
from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.deployments.models import Deployment
from apps.library.exceptions import exceptions_waiting_for
from apps.library.models import ModelVersion, SafetyException, Upload
from apps.monitoring.models import Alert
from apps.releases.models import Build, Release
from apps.releases.selectors import waiting_for

DAY, WEEK = timedelta(days=1), timedelta(days=7)
STALLED = timedelta(minutes=10)  # an upload that no byte has come for is left, not slow
MOST_WAITING = 6


@dataclass(frozen=True)
class Waiting:
    """Lists of rows, each short. ``starts`` are built and wait for an operator; ``unbuilt`` could not be built."""

    alerts: list[Alert]
    exchanged: list[Entry]  # of the audit log: what ran under a replica's name and was not what was approved
    reviews: list[Release]
    exceptions: list[SafetyException]
    starts: list[Release]
    unbuilt: list[Release]
    failed: list[Deployment]
    refused: list[ModelVersion]
    broken: list[Upload]
    keys: list[ApiKey]

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


def waiting(actor: Actor, project: Project, alerts: Iterable[Alert], now: datetime) -> Waiting:
    """For this person in this project; ``alerts`` are those that are open."""
    may_start = actor.may("deployment.start", project)
    may_acknowledge = actor.may("alert.acknowledge", project)
    may_upload = actor.may("version.upload", project)
    return Waiting(
        alerts=[alert for alert in alerts if may_acknowledge and alert.state == Alert.State.FIRING],
        exchanged=list(_exchanged(project, now)[:MOST_WAITING]) if may_acknowledge else [],
        reviews=list(waiting_for(actor).filter(project=project)[:MOST_WAITING]),
        exceptions=list(exceptions_waiting_for(actor, project)[:MOST_WAITING]),
        starts=list(_starts(project)[:MOST_WAITING]) if may_start else [],
        unbuilt=list(_approved(project, Build.State.FAILED)[:MOST_WAITING]) if may_start else [],
        failed=list(_failed(project, now)[:MOST_WAITING]) if may_start else [],
        refused=list(_refused(actor, project, now)[:MOST_WAITING]),
        broken=list(_broken(actor, project, now)[:MOST_WAITING]) if may_upload else [],
        keys=list(_keys(project, now)[:MOST_WAITING]) if actor.may("key.manage", project) else [],
    )


def _exchanged(project: Project, now: datetime) -> QuerySet[Entry]:
    """Of the last day. Each replica was ended and started anew; that somebody could do this is what waits."""
    return Entry.objects.filter(project=project, action="replica.exchanged", at__gte=now - DAY)


def _approved(project: Project, built: Build.State) -> QuerySet[Release]:
    """Approved and never started, whose newest build is in this state."""
    newest = Build.objects.filter(release=OuterRef("pk")).order_by("-pk").values("state")[:1]
    return (
        Release.objects.filter(project=project, state=Release.State.APPROVED, deployments__isnull=True)
        .annotate(newest=Subquery(newest))
        .filter(newest=built)
        .select_related("version__model", "endpoint")
        .order_by("-pk")
    )


def _starts(project: Project) -> QuerySet[Release]:
    return _approved(project, Build.State.DONE).filter(endpoint__environment__starts_by_itself=False)


def _failed(project: Project, now: datetime) -> QuerySet[Deployment]:
    """Endpoints whose newest deployment failed this week."""
    newest = Deployment.objects.filter(endpoint=OuterRef("endpoint")).order_by("-pk").values("pk")[:1]
    return (
        Deployment.objects.filter(project=project, phase=Deployment.Phase.FAILED, updated_at__gte=now - WEEK)
        .annotate(newest=Subquery(newest))
        .filter(pk=F("newest"))
        .select_related("release__version__model", "endpoint")
        .order_by("-pk")
    )


def _refused(actor: Actor, project: Project, now: datetime) -> QuerySet[ModelVersion]:
    """This person's uploads of this week that the examination refused."""
    rows = ModelVersion.objects.filter(model__project=project, uploaded_by=actor.user_id, created_at__gte=now - WEEK)
    return rows.filter(state=ModelVersion.State.REFUSED).select_related("model").order_by("-pk")


def _broken(actor: Actor, project: Project, now: datetime) -> QuerySet[Upload]:
    """This person's uploads that broke off or were given up this week, and that they have not begun again."""
    mine = Upload.objects.filter(project=project, created_by=actor.user_id)
    again = mine.filter(name=OuterRef("name"), created_at__gt=OuterRef("created_at"))
    left = Q(state=Upload.State.RECEIVING, updated_at__lt=now - STALLED)
    over = Q(state=Upload.State.EXPIRED, offset__lt=F("size"), updated_at__gte=now - WEEK)
    return mine.filter(left | over).exclude(Exists(again)).order_by("-created_at")


def _keys(project: Project, now: datetime) -> QuerySet[ApiKey]:
    rows = ApiKey.objects.filter(project=project, revoked_at__isnull=True, disabled_at__isnull=True)
    return rows.filter(expires_at__gt=now, expires_at__lt=now + EXPIRES_SOON).order_by("expires_at")
