"""What the reconciler writes: the one writer of everything observed about a deployment. Each write holds the lease."""

import random
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.audit.services import record
from apps.core import leases
from apps.core.actors import SYSTEM
from apps.deployments.credentials import open_secret, seal_secret
from apps.deployments.going_live import go_live
from apps.deployments.models import Deployment, Replica, Route, Step
from apps.deployments.obstacles import has_lapsed
from apps.deployments.plan import FAILED_STARTS, Wanted, is_healthy, phase
from apps.deployments.steps import close_step, note_event, open_step
from apps.deployments.turns import lock_endpoint
from apps.releases.models import Release
from apps.releases.selectors import current_subject

LEASE_SECONDS = 20  # kept up while a target takes its time, so that a dead worker's work is soon another's
RETRY_SECONDS = 30.0  # at most, while a target does not answer: it is used again within a minute of its return
BUSY_SECONDS = 0.5  # until the next look while something moves
CALM_SECONDS = 10.0  # and when all is as wanted: what is removed by hand is back well within 30 s
SILENT_SECONDS = 2.0  # a running replica may leave our question unanswered for so long: it may have much to do
DRAIN_GRACE_SECONDS = 3.0  # gateways have taken a draining replica out of their snapshot by then
FORGIVE_SECONDS = 60.0  # healthy for so long, a replica's earlier failures no longer count
PARK_AFTER = 5  # lost workers in a row
PARK_SECONDS = 300.0
HOPELESS = ("refused_model", "golden_mismatch")  # failures that another start would only repeat
Message = dict[str, Any]


@transaction.atomic
def begin_reconcile(pk: int) -> Deployment | None:
    """The deployment under a lease, or None when another worker has it. One that kills its workers is parked.

    With the lease goes the look at the approval: one that was withdrawn, has expired or is of something else by now
    starts nothing. What has served goes on.
    """
    deployment = leases.take(Deployment, pk, seconds=LEASE_SECONDS)
    if deployment is None:
        return None
    if deployment.attempts > PARK_AFTER and not deployment.conditions.get("unreachable"):
        conditions = {**deployment.conditions, "parked": {"since": timezone.now().isoformat()}}
        leases.release(deployment, due_in=PARK_SECONDS, conditions=conditions, attempts=PARK_AFTER - 1)
        return None
    if deployment.is_wanted and deployment.live_at is None and (why := _why_not(deployment.release)):
        kind, text = why
        fail(deployment, kind=kind, message={"text": text, "params": {}})
        return None
    return deployment


@transaction.atomic
def expect_replicas(deployment: Deployment) -> list[Replica]:
    """The rows of the wanted replicas, made where missing; rows beyond the wanted number begin to drain."""
    hold(deployment)
    rows = {row.index: row for row in deployment.replica_set.all()}
    for index in range(deployment.replicas):
        if index not in rows:
            rows[index] = _make_replica(deployment, index)
    surplus = deployment.replica_set.filter(index__gte=deployment.replicas).exclude(state=Replica.State.DRAINING)
    surplus.update(state=Replica.State.DRAINING, healthy_since=None, unready_since=timezone.now())
    return [rows[index] for index in range(deployment.replicas)]


def as_wanted(row: Replica) -> Wanted:
    """The row as the plan sees it."""
    now = timezone.now()

    def ago(moment: Any) -> float | None:
        return None if moment is None else (now - moment).total_seconds()

    return Wanted(
        row.index, row.name, row.restarts, ago(row.started_at), ago(row.healthy_since), ago(row.unready_since)
    )


def replica_secret(row: Replica) -> str:
    return open_secret(row.name, row.sealed)


def hold(deployment: Deployment) -> None:
    """Right before something is done outside: make sure that the deployment is ours, and for long enough to do it.

    Raises StateConflict in a worker that was overtaken. No target can be told of fences, so this is what keeps a worker
    that wakes up late from ending what another has started. In a transaction it also keeps others out until the end.
    """
    leases.renew(deployment, seconds=LEASE_SECONDS)


@transaction.atomic
def note_started(deployment: Deployment, row: Replica, address: str, node: str = "") -> None:
    """A replica was started (again): it has to become ready before it is routed to."""
    again = row.started_at is not None
    now = timezone.now()
    hold(deployment)
    Replica.objects.filter(pk=row.pk).update(
        state=Replica.State.STARTING,
        address=address,
        node=node,
        started_at=now,
        healthy_since=None,
        unready_since=now,
        restarts=F("restarts") + (1 if again else 0),
    )


def note_exit(row: Replica, *, kind: str, reason: Message, log: str) -> None:
    """A replica ended by itself; why is kept on the row until it is well again."""
    _held(row).update(
        state=Replica.State.EXITED, healthy_since=None, failure_kind=kind, failure=reason, failure_log=log
    )


@transaction.atomic
def alarm_exchanged(row: Replica, digest: str) -> None:
    """Put into the audit log that something ran under a replica's name that nobody approved."""
    record(SYSTEM, "replica.exchanged", row.deployment, after={"replica": row.name, "digest": digest})


def note_log(name: str, lines: list[str]) -> None:
    """Keep a replica's newest log lines (at most 64 kB), when there are new ones."""
    text = "\n".join(lines)[-65536:]
    Replica.objects.filter(name=name).exclude(log=text).update(log=text)


def note_probe(row: Replica, *, address: str, is_ready: bool | None, node: str = "") -> None:
    """A replica answered whether it is ready, or was silent (None). Ready for long enough makes it running.

    One that is running and falls silent keeps its traffic until it has been silent twice in a row: a load that makes
    all of them slow must not take one after the other away from it. Where it runs is noted each time: whoever started
    it may have died before they could.
    """
    now = timezone.now()
    facts: dict[str, Any] = {"address": address, "node": node, "started_at": row.started_at or now}
    if not is_ready:
        facts["unready_since"] = since = row.unready_since or now
        is_silent_anew = is_ready is None and (now - since).total_seconds() < SILENT_SECONDS
        if row.state != Replica.State.RUNNING or not is_silent_anew:
            facts |= {"state": Replica.State.STARTING, "healthy_since": None}
        _held(row).update(**facts)
        return
    facts |= {"unready_since": None, "healthy_since": row.healthy_since or now}
    seen = as_wanted(row)
    if is_healthy(seen):
        facts["state"] = Replica.State.RUNNING
    if seen.healthy_for is not None and seen.healthy_for > FORGIVE_SECONDS:
        facts |= {"restarts": 0, "failure_kind": "", "failure": None, "failure_log": ""}
    _held(row).update(**facts)


def note_moved(row: Replica, *, address: str, node: str) -> None:
    """A replica is served from another machine from now on; what ran on the one before is stopped a little later."""
    _held(row).update(address=address, node=node, moved_at=timezone.now())


def has_settled(row: Replica) -> bool:
    """Whether gateways know by now where a replica is, so that an earlier copy of it may go."""
    return row.moved_at is None or (timezone.now() - row.moved_at).total_seconds() >= DRAIN_GRACE_SECONDS


@transaction.atomic
def finish_wanted(deployment: Deployment, *, is_moving: bool = False) -> Deployment:
    """Draw the conclusion of one look at a wanted deployment: live, still on its way, degraded or failed."""
    if deployment.live_at is None:  # it may go live
        lock_endpoint(deployment.endpoint_id)
    if _is_wanted_otherwise(deployment):
        return deployment
    if row := _hopeless(deployment):
        return _give_up(deployment, row.failure_kind, row.failure or {}, row.failure_log)
    rows = deployment.replica_set.filter(index__lt=deployment.replicas)
    healthy = rows.filter(state=Replica.State.RUNNING).count()
    now = phase(was_live=deployment.live_at is not None, healthy=healthy, wanted=deployment.replicas)
    if now == Deployment.Phase.RUNNING and deployment.live_at is None:
        go_live(deployment)
    is_uneasy = deployment.replica_set.filter(Q(state=Replica.State.DRAINING) | Q(unready_since__isnull=False)).exists()
    is_calm = now == Deployment.Phase.RUNNING and deployment.is_wanted and not is_uneasy and not is_moving
    leases.release(
        deployment,
        due_in=CALM_SECONDS if is_calm else BUSY_SECONDS,
        phase=now,
        observed_generation=deployment.generation,
        attempts=0,
        conditions={"healthy": healthy},
        updated_at=timezone.now(),
    )
    return deployment


@transaction.atomic
def finish_unwanted(deployment: Deployment, *, is_gone: bool) -> Deployment:
    """One look at a deployment that should not run: once nothing of it is left it is at rest, failed or stopped."""
    if _is_wanted_otherwise(deployment):
        return deployment
    if not is_gone:
        leases.release(deployment, due_in=DRAIN_GRACE_SECONDS, phase=Deployment.Phase.STOPPING, attempts=0)
        return deployment
    deployment.replica_set.update(state=Replica.State.EXITED, address="", healthy_since=None)
    end = Deployment.Phase.FAILED if deployment.failure_kind else Deployment.Phase.STOPPED
    close_step(deployment, "drain")
    leases.release(
        deployment,
        due_in=None,
        phase=end,
        observed_generation=deployment.generation,
        attempts=0,
        conditions={},
        ended_at=deployment.ended_at or timezone.now(),
        updated_at=timezone.now(),
    )
    return deployment


@transaction.atomic
def mark_draining(deployment: Deployment) -> bool:
    """Take all replicas out of the gateways' sight; whether one of them has only just been, and must not be stopped."""
    hold(deployment)
    Route.objects.filter(deployment=deployment).delete()
    open_step(deployment, "drain")
    now, rows = timezone.now(), deployment.replica_set
    in_sight = rows.filter(state__in=[Replica.State.STARTING, Replica.State.RUNNING])
    in_sight.update(state=Replica.State.DRAINING, healthy_since=None, unready_since=now)
    recently = now - timedelta(seconds=DRAIN_GRACE_SECONDS)
    return rows.filter(state=Replica.State.DRAINING, unready_since__gt=recently).exists()


def is_hopeless(deployment: Deployment) -> bool:
    """Whether starting anything again is pointless; ``finish_wanted`` then gives up with the reason."""
    return _hopeless(deployment) is not None


@transaction.atomic
def forget_surplus(deployment: Deployment, seen: list[str]) -> None:
    """Drop the rows of surplus replicas that are gone from the target already."""
    hold(deployment)
    deployment.replica_set.filter(index__gte=deployment.replicas).exclude(name__in=seen).delete()


def was_drained(row: Replica) -> bool:
    """Whether a draining replica has been out of sight for long enough to be stopped; marks it when it is not yet."""
    now = timezone.now()
    if row.state != Replica.State.DRAINING or row.unready_since is None:
        _held(row).update(state=Replica.State.DRAINING, healthy_since=None, unready_since=now)
        return False
    return (now - row.unready_since).total_seconds() >= DRAIN_GRACE_SECONDS


@transaction.atomic
def note_removed(deployment: Deployment, name: str) -> None:
    """A surplus replica has been stopped: its row goes, and the timeline says so."""
    hold(deployment)
    Replica.objects.filter(deployment=deployment, name=name).delete()
    note_event(deployment, "remove", {"text": "Stopped %(name)s.", "params": {"name": name}})


def defer(deployment: Deployment, *, kind: str, message: Message) -> None:
    """The target could not be asked: nothing is known, so nothing observed is changed but that, and we ask again."""
    conditions = {**deployment.conditions, "unreachable": {"kind": kind, "message": message}}
    wait = min(RETRY_SECONDS, 2.0 ** min(deployment.attempts, 6)) * random.uniform(0.5, 1.0)  # not all at once
    leases.release(deployment, due_in=wait, conditions=conditions)


@transaction.atomic
def fail(deployment: Deployment, *, kind: str, message: Message, log: str = "") -> Deployment:
    """Give up on a deployment that cannot run at all, e.g. because its bytes are not what was approved."""
    if _is_wanted_otherwise(deployment):
        return deployment
    return _give_up(deployment, kind, message, log)


def forgotten(owners: Mapping[str, int]) -> list[str]:
    """Of what carries our label on a target, each name with its deployment: what none of ours accounts for any more."""
    known = Deployment.objects.filter(pk__in=set(owners.values()))
    alive = set(known.exclude(phase__in=["stopped", "failed"], is_wanted=False).values_list("pk", flat=True))
    return [name for name, pk in owners.items() if pk not in alive]


def _held(row: Replica) -> QuerySet[Replica]:
    """The row, for an update while the lease on its deployment is ours; a worker that was overtaken updates nothing."""
    return Replica.objects.filter(pk=row.pk, deployment__fence=row.deployment.fence)


def _is_wanted_otherwise(deployment: Deployment) -> bool:
    """Whether somebody has wanted something else since we read the row; then that is looked at next, and nothing else
    of this look is written. Until the transaction ends nobody can want anything else."""
    rows = Deployment.objects.select_for_update(no_key=True).filter(pk=deployment.pk)
    if rows.filter(generation=deployment.generation).values_list("pk").first():
        return False
    leases.release(deployment, due_in=0.0, attempts=0)
    return True


def _make_replica(deployment: Deployment, index: int) -> Replica:
    name = f"slipway-{deployment.pk}-{deployment.release_id}-{index}"
    sealed = seal_secret(name, secrets.token_urlsafe(32))
    return Replica.objects.create(deployment=deployment, index=index, name=name, sealed=sealed)


def _hopeless(deployment: Deployment) -> Replica | None:
    """The replica that shows that a deployment which never served will not: refused, or ended too often."""
    if deployment.live_at is not None:
        return None
    exited = deployment.replica_set.filter(index__lt=deployment.replicas, state=Replica.State.EXITED)
    return exited.filter(Q(failure_kind__in=HOPELESS) | Q(restarts__gte=FAILED_STARTS - 1)).first()


def _give_up(deployment: Deployment, kind: str, message: Message, log: str) -> Deployment:
    now = timezone.now()
    Step.objects.filter(deployment=deployment, finished_at__isnull=True).update(
        state=Step.State.FAILED, finished_at=now, detail=message, log=log
    )
    leases.release(
        deployment,
        due_in=BUSY_SECONDS,
        is_wanted=False,
        generation=F("generation") + 1,
        phase=Deployment.Phase.FAILED,
        failure_kind=kind,
        failure=message,
        failure_log=log,
        ended_at=now,
        updated_at=now,
    )
    record(SYSTEM, "deployment.failed", deployment, after={"kind": kind, "message": message})
    return deployment


def _why_not(release: Release) -> tuple[str, str] | None:
    """Why a release may not run: not approved any more, or other facts than people looked at, or too long ago."""
    if release.state != Release.State.APPROVED or current_subject(release) != release.subject:
        return "subject_changed", gettext_noop("What was approved has changed or was taken back; it is not started.")
    if has_lapsed(release):
        words = gettext_noop("Its approval has expired before it was started. Propose the version again.")
        return "approval_expired", words
    return None
