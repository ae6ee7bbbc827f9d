"""What people want to run: start, stop, scale, shift traffic, roll back. What is seen is written in observing.py."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, StateConflict
from apps.core.jobs import Job, enqueue
from apps.core.states import advance
from apps.deployments import obstacles
from apps.deployments.models import Deployment, Replica, Route
from apps.deployments.selectors import last_good
from apps.deployments.turns import lock_deployment, lock_endpoint
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint


@transaction.atomic
def start_release(*, actor: Actor, release: Release, cause: str = "release", replicas: int = 0) -> Deployment:
    """Run an approved and built release at its endpoint. It takes the traffic once all of its replicas are healthy."""
    actor.require("deployment.start", release.project)
    lock_endpoint(release.endpoint_id)
    build = _startable_build(release)
    wanted = Deployment.objects.filter(release=release, is_wanted=True).first()
    if wanted:
        raise StateConflict(_("This release is running already, or about to: deployment %(pk)s.") % {"pk": wanted.pk})
    deployment = Deployment.objects.create(
        project=release.project,
        endpoint=release.endpoint,
        release=release,
        build=build,
        target=release.target,
        cause=cause,
        replicas=replicas or release.replicas,
        started_by_id=actor.user_id if actor.is_person else None,
        due_at=Now(),
    )
    record(actor, "deployment.started", deployment, after={"release": release.pk, "cause": cause})
    enqueue(Job.RECONCILE, deployment.pk)
    return deployment


@transaction.atomic
def start(*, actor: Actor, deployment: Deployment) -> Deployment:
    """Want a stopped or failed deployment to run again."""
    actor.require("deployment.start", deployment.project)
    if deployment.is_wanted:
        raise StateConflict(_("This deployment is meant to run already."))
    lock_endpoint(deployment.endpoint_id)
    lock_deployment(deployment.pk)
    _startable_build(deployment.release)
    _begin_anew(deployment)
    return _want(
        actor,
        "deployment.restarted",
        deployment,
        is_wanted=True,
        phase=Deployment.Phase.PENDING,
        live_at=None,
        ended_at=None,
        failure_kind="",
        failure=None,
        failure_log="",
    )


@transaction.atomic
def stop(*, actor: Actor, deployment: Deployment, note: str = "") -> Deployment:
    """Stop it: its traffic goes first, then its replicas finish what they are doing and end."""
    actor.require("deployment.stop", deployment.project)
    if not deployment.is_wanted:
        raise StateConflict(_("This deployment is not meant to run anyway."))
    lock_endpoint(deployment.endpoint_id)
    lock_deployment(deployment.pk)
    _hand_over_share(deployment)
    return _want(actor, "deployment.stopped", deployment, note=note, is_wanted=False)


@transaction.atomic
def scale(*, actor: Actor, deployment: Deployment, replicas: int) -> Deployment:
    """Want another number of replicas. An approval is about what runs, not how often, so it stays valid."""
    actor.require("deployment.scale", deployment.project)
    if not 1 <= replicas <= 64:
        raise Invalid(_("Replicas must be between 1 and 64."), errors={"replicas": [_("Choose 1 to 64.")]})
    if not deployment.is_wanted:
        raise StateConflict(_("This deployment is stopped; start it before you scale it."))
    if replicas == deployment.replicas:
        return deployment
    return _want(actor, "deployment.scaled", deployment, replicas=replicas)


@transaction.atomic
def roll_back(*, actor: Actor, endpoint: Endpoint, to: Deployment | None = None, note: str = "") -> Deployment:
    """Run an earlier good release again, as a new deployment; the present one serves until that one is healthy."""
    actor.require("deployment.rollback", endpoint.project)
    lock_endpoint(endpoint.pk)
    good = to or last_good(endpoint)
    if good is None or good.endpoint_id != endpoint.pk or good.live_at is None:
        raise StateConflict(_("There is no earlier release of this endpoint that ran well."))
    running = Deployment.objects.filter(release=good.release, is_wanted=True, phase=Deployment.Phase.RUNNING).first()
    if running:
        _route_all_to(running)
    if running is None and _held(good.release).state == Release.State.SUPERSEDED:
        advance(good.release, Release.State.APPROVED)  # its approvals still stand; the database counts them
    deployment = running or start_release(actor=actor, release=good.release, cause="rollback", replicas=good.replicas)
    record(actor, "endpoint.rolled_back", endpoint, after={"release": good.release_id}, note=note)
    return deployment


@transaction.atomic
def set_traffic(*, actor: Actor, endpoint: Endpoint, weights: Mapping[int, int]) -> list[Route]:
    """Give each deployment (by id) its share in percent; all of them together make 100."""
    actor.require("deployment.start", endpoint.project)
    if sum(weights.values()) != 100 or any(not 0 <= weight <= 100 for weight in weights.values()):
        raise Invalid(_("The shares must be between 0 and 100 and sum to 100."))
    lock_endpoint(endpoint.pk)
    rows = {d.pk: d for d in Deployment.objects.filter(endpoint=endpoint, pk__in=weights)}
    for pk in weights:
        if pk not in rows or rows[pk].phase not in {"running", "degraded"} or not rows[pk].is_wanted:
            raise StateConflict(_("Deployment %(pk)s is not running at this endpoint.") % {"pk": pk})
    before = shares(endpoint)
    Route.objects.filter(endpoint=endpoint).delete()
    made = [Route(endpoint=endpoint, deployment=rows[pk], weight=weight) for pk, weight in weights.items() if weight]
    Route.objects.bulk_create(made)
    record(actor, "endpoint.traffic_set", endpoint, before=before, after=shares(endpoint))
    return made


def shares(endpoint: Endpoint) -> dict[str, Any]:
    rows = Route.objects.filter(endpoint=endpoint).order_by("deployment_id")
    return {"weights": {str(row.deployment_id): row.weight for row in rows}}


def _route_all_to(deployment: Deployment) -> None:
    Route.objects.filter(endpoint_id=deployment.endpoint_id).delete()
    Route.objects.create(endpoint_id=deployment.endpoint_id, deployment=deployment, weight=100)


def _hand_over_share(deployment: Deployment) -> None:
    """End its traffic; where others share it, the one with most of it gets the rest too."""
    share = sum(Route.objects.filter(deployment=deployment).values_list("weight", flat=True))
    Route.objects.filter(deployment=deployment).delete()
    heir = Route.objects.filter(endpoint_id=deployment.endpoint_id, weight__gt=0).order_by("-weight", "pk").first()
    if heir is not None:
        Route.objects.filter(pk=heir.pk).update(weight=heir.weight + share)


def _begin_anew(deployment: Deployment) -> None:
    """Forget how its replicas fared, but not their secrets: some may run still, and are kept then."""
    deployment.replica_set.update(
        state=Replica.State.STARTING,
        address="",
        restarts=0,
        healthy_since=None,
        unready_since=None,
        started_at=None,
        failure_kind="",
        failure=None,
        failure_log="",
    )


def _startable_build(release: Release) -> Build:
    """The build to run; raises when the release may not run, or no longer is what was approved."""
    if obstacle := obstacles.to_starting(_held(release)):
        raise obstacle
    return release.builds.filter(state=Build.State.DONE).order_by("-id")[0]


def _held(release: Release) -> Release:
    """The release as it is now; nobody withdraws or closes it until the transaction ends."""
    release.refresh_from_db(from_queryset=Release.objects.select_for_update(no_key=True))
    return release


def _want(actor: Actor, action: str, deployment: Deployment, *, note: str = "", **desired: Any) -> Deployment:
    """Write what is desired now, as a new generation, and ring for the reconciler."""
    before = {name: getattr(deployment, name) for name in desired}
    changed = Deployment.objects.filter(pk=deployment.pk, generation=deployment.generation).update(
        generation=F("generation") + 1,
        due_at=Now(),
        updated_at=timezone.now(),
        request_id=actor.request_id,
        **desired,
    )
    if not changed:
        raise StateConflict(_("Somebody else changed this deployment in the meantime. Look again before you decide."))
    deployment.refresh_from_db()
    record(actor, action, deployment, before=before, after=desired, note=note)
    enqueue(Job.RECONCILE, deployment.pk)
    return deployment
