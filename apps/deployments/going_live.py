"""The moment in which a healthy deployment gets its traffic, and what then becomes of those before it.

Whoever calls this has the endpoint locked (see turns.py).
"""

from contextlib import suppress

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.audit.services import record
from apps.core import leases
from apps.core.actors import SYSTEM
from apps.core.errors import StateConflict
from apps.core.jobs import Job, enqueue
from apps.core.states import advance
from apps.deployments.models import Deployment, Route
from apps.deployments.steps import close_step, open_step
from apps.releases.models import Release


def go_live(deployment: Deployment) -> None:
    """Move the whole endpoint's traffic here in one transaction, and want the deployments before it no more.

    A canary waits beside what serves instead, until it is given a share; then that is when it went live.
    """
    routed = Route.objects.filter(endpoint_id=deployment.endpoint_id, weight__gt=0)
    if own := routed.filter(deployment=deployment).first():
        _note_share(deployment, own.weight)
        return
    if deployment.release.is_canary and deployment.cause == "release" and routed.exists():
        open_step(deployment, "beside")
        return
    if _newer_is_live(deployment):
        leases.write(deployment, is_wanted=False, generation=deployment.generation + 1)
        return
    close_step(deployment, "beside")
    open_step(deployment, "route")
    leases.write(deployment, live_at=timezone.now())
    replaced = list(_older(deployment))
    Deployment.objects.filter(pk__in=[older.pk for older in replaced]).update(
        is_wanted=False, generation=F("generation") + 1, due_at=Now(), updated_at=timezone.now()
    )
    Route.objects.filter(endpoint_id=deployment.endpoint_id).delete()
    Route.objects.create(endpoint_id=deployment.endpoint_id, deployment=deployment, weight=100)
    close_step(deployment, "route")
    superseded = _supersede_others(deployment)
    record(SYSTEM, "deployment.live", deployment, after={"release": deployment.release_id, "weight": 100})
    for older in replaced:
        record(SYSTEM, "deployment.replaced", older, after={"by": deployment.pk})
        enqueue(Job.RECONCILE, older.pk)
    for release in superseded:
        facts = {"state": "superseded", "by": deployment.release_id}
        record(SYSTEM, "release.superseded", release, before={"state": "approved"}, after=facts)


def _note_share(deployment: Deployment, weight: int) -> None:
    """A canary has been given traffic, and nothing else is to change."""
    close_step(deployment, "beside")
    open_step(deployment, "route")
    close_step(deployment, "route")
    leases.write(deployment, live_at=timezone.now())
    record(SYSTEM, "deployment.live", deployment, after={"release": deployment.release_id, "weight": weight})


def _supersede_others(deployment: Deployment) -> list[Release]:
    """Close the releases whose place this one has taken: what served before, and what was proposed before."""
    approved = Release.objects.filter(endpoint_id=deployment.endpoint_id, state=Release.State.APPROVED)
    idle = approved.exclude(pk=deployment.release_id).exclude(deployments__is_wanted=True)
    is_past = Q(pk__lt=deployment.release_id) | Q(deployments__live_at__isnull=False)
    closed = []
    for release in idle.filter(is_past).distinct():
        with suppress(StateConflict):  # somebody has just withdrawn it
            closed.append(advance(release, Release.State.SUPERSEDED))
    return closed


def _older(deployment: Deployment) -> QuerySet[Deployment]:
    rows = Deployment.objects.filter(endpoint_id=deployment.endpoint_id, is_wanted=True)
    return rows.filter(pk__lt=deployment.pk)


def _newer_is_live(deployment: Deployment) -> bool:
    """Whether something newer takes traffic; a canary beside it that has none does not count."""
    newer = Deployment.objects.filter(endpoint_id=deployment.endpoint_id, is_wanted=True, pk__gt=deployment.pk)
    return newer.filter(routes__weight__gt=0).exists()
