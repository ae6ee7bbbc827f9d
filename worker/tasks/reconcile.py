"""Bring one deployment closer to what is desired. Only this task writes what is observed of it."""

from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import structlog
from celery import shared_task
from django.conf import settings

from apps.core import leases
from apps.core.errors import StateConflict
from apps.deployments import observing, steps
from apps.deployments.models import Deployment, Replica
from apps.deployments.plan import Plan, plan
from apps.targets.models import Target
from apps.targets.services import open_secrets
from worker.drivers.base import Driver
from worker.drivers.golden import replay
from worker.drivers.health import is_ready
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.specs import Message, ReplicaSpec, ReplicaStatus, TargetSpec, gettext_noop
from worker.tasks.images import refuse_tampered, registry_of
from worker.tasks.places import Places, look

log = structlog.get_logger(__name__)


@shared_task(name="slipway.reconcile")
def reconcile(pk: int) -> None:
    """One look at the target and at most one round of changes; due again in half a second while something moves."""
    deployment = observing.begin_reconcile(pk)
    if deployment is None:
        return
    try:
        driver = open_driver(target_spec(deployment.target), Path(settings.SLIPWAY_HOME))
        with leases.kept(deployment, seconds=observing.LEASE_SECONDS):
            if deployment.is_wanted:
                run_wanted(deployment, driver)
            else:
                run_unwanted(deployment, driver)
    except StateConflict:
        log.info("overtaken", deployment=pk)
    except ToolError as error:
        conclude(deployment, error)


def run_wanted(deployment: Deployment, driver: Driver) -> None:
    rows = {row.index: row for row in observing.expect_replicas(deployment)}
    places = look(deployment, driver, deployment.target.draining)
    seen = {name: as_exchanged(deployment, status) for name, status in places.homes.items()}
    todo = plan([observing.as_wanted(row) for row in rows.values()], {s.name: s.state for s in seen.values()})
    for row in rows.values():
        note_exit_of(deployment, row, seen.get(row.name))
    if not observing.is_hopeless(deployment):
        carry_out(deployment, driver, todo, seen)
        follow_steps(deployment)
    observing.finish_wanted(deployment, is_moving=move(deployment, driver, places))


def as_exchanged(deployment: Deployment, status: ReplicaStatus) -> ReplicaStatus:
    """The status itself; or, where something else runs under the replica's name than was built, that it has ended."""
    if status.digest in ("", deployment.build.digest):
        return status
    words = gettext_noop(
        "Somebody exchanged it: %(runs)s ran under its name, which nobody approved. Find out who may change things on"
        " that machine."
    )
    reason = Message(words, {"runs": status.digest})
    return replace(status, state="exited", address="", kind="exchanged", reason=reason)


def move(deployment: Deployment, driver: Driver, places: Places) -> bool:
    """Bring replicas off machines that drain: the next copy answers before the one before it ends. Whether any moves.

    A replica that has a copy elsewhere for another reason (its machine came back) loses the one that is not served.
    """
    is_moving = False
    for row in deployment.replica_set.filter(index__lt=deployment.replicas, state=Replica.State.RUNNING):
        step = places.next_step(row)
        if step.start:
            refuse_tampered(deployment)
            observing.hold(deployment)
            is_moving |= driver.start(replica_spec(deployment, row)).node != row.node
        elif step.successor:
            is_moving = True
            switch(deployment, driver, row, step.successor)
        for copy in step.leftovers if observing.has_settled(row) else ():
            observing.hold(deployment)
            driver.stop_copy(row.name, copy.node, drain_seconds=10.0)
        is_moving |= bool(step.leftovers)
    return is_moving


def switch(deployment: Deployment, driver: Driver, row: Replica, to: ReplicaStatus) -> None:
    """Serve a replica from its next machine, once it answers there as it did when it was examined."""
    if not is_ready(to.address, observing.replica_secret(row), deployment.release.subject):
        return
    if answers_as_examined(deployment, driver, row, to.address):
        observing.note_moved(row, address=to.address, node=to.node)
        words = gettext_noop("Replica %(index)s moved from %(before)s to %(node)s.")
        detail = Message(words, {"index": row.index, "before": row.node, "node": to.node})
        steps.note_event(deployment, "move", detail.to_json())


def carry_out(deployment: Deployment, driver: Driver, todo: Plan, seen: dict[str, ReplicaStatus]) -> None:
    rows = {row.index: row for row in deployment.replica_set.all()}
    for index in todo.start:
        start_replica(deployment, driver, rows[index], seen.get(rows[index].name))
    for index in todo.probe:
        probe(deployment, driver, rows[index], seen[rows[index].name])
    for name in todo.remove:
        remove_replica(deployment, driver, name)
    observing.forget_surplus(deployment, list(seen))


def run_unwanted(deployment: Deployment, driver: Driver) -> None:
    """First out of the gateways' sight, a little later stopped, and gone in the look after that."""
    seen = owned(deployment, driver)
    if not observing.mark_draining(deployment):
        for name in seen:
            observing.note_log(name, driver.logs(name))
            observing.hold(deployment)
            driver.stop(name, drain_seconds=10.0)
        seen = owned(deployment, driver)
    observing.finish_unwanted(deployment, is_gone=not seen)


def start_replica(deployment: Deployment, driver: Driver, row: Replica, before: ReplicaStatus | None) -> None:
    if deployment.live_at is None:
        steps.open_step(deployment, "start")
    refuse_tampered(deployment)
    if before is not None:
        observing.hold(deployment)
        driver.stop(row.name, drain_seconds=0.0)
    observing.hold(deployment)
    status = driver.start(replica_spec(deployment, row))
    observing.note_started(deployment, row, status.address, status.node)
    if row.started_at is not None:
        detail = Message(gettext_noop("Replica %(index)s was started again."), {"index": row.index})
        steps.note_event(deployment, "restart", detail.to_json(), row.failure_log)


def note_exit_of(deployment: Deployment, row: Replica, status: ReplicaStatus | None) -> None:
    """Write down that a replica which we had started is no more, and why."""
    if row.started_at is None or row.state == Replica.State.EXITED:
        return
    if status is None:
        words = gettext_noop("It is gone from the target: it was removed there, or the machine was stopped.")
        reason = Message(words)
        observing.note_exit(row, kind="gone", reason=reason.to_json(), log="")
    elif status.state == "exited":
        reason = status.reason or Message(gettext_noop("It ended by itself. Its log may say why."))
        observing.note_exit(row, kind=status.kind or "crashed", reason=reason.to_json(), log=status.log)
        if status.kind == "exchanged":
            observing.alarm_exchanged(row, status.digest)


def probe(deployment: Deployment, driver: Driver, row: Replica, status: ReplicaStatus) -> None:
    secret = observing.replica_secret(row)
    ready = is_ready(status.address, secret, deployment.release.subject) if status.address else False
    if ready and row.healthy_since is None:
        ready = answers_as_examined(deployment, driver, row, status.address)
        if ready is None:
            return
    observing.note_probe(row, address=status.address, node=status.node, is_ready=ready)


def answers_as_examined(deployment: Deployment, driver: Driver, row: Replica, address: str) -> bool | None:
    """Ask a replica that has just become ready its golden sample; one that answers differently is stopped (None)."""
    version = deployment.release.version
    if not version.golden.get("response"):
        return True
    try:
        detail = replay(address, observing.replica_secret(row), version.model.name, version.golden, row.index)
    except (OSError, HTTPException):
        return False
    except ToolError as error:
        observing.note_exit(row, kind=error.kind, reason=error.message.to_json(), log=error.log)
        observing.hold(deployment)
        driver.stop(row.name, drain_seconds=0.0)
        return None
    steps.note_event(deployment, "golden", detail.to_json())
    return True


def remove_replica(deployment: Deployment, driver: Driver, name: str) -> None:
    """Stop a replica that is wanted no more, once gateways had a look's time to forget it."""
    row = deployment.replica_set.filter(name=name).first()
    if row is not None and not observing.was_drained(row):
        return
    observing.hold(deployment)
    driver.stop(name, drain_seconds=10.0)
    observing.note_removed(deployment, name)


def follow_steps(deployment: Deployment) -> None:
    """Keep the timeline: the start ends when every replica has been started, the wait for health when all are well."""
    if deployment.live_at is not None or deployment.phase == Deployment.Phase.RUNNING:  # a canary that waits
        return
    rows = deployment.replica_set.filter(index__lt=deployment.replicas)
    if not rows.filter(started_at__isnull=True).exists():
        steps.close_step(deployment, "start")
        steps.open_step(deployment, "healthy")
    if not rows.exclude(state=Replica.State.RUNNING).exists():
        steps.close_step(deployment, "healthy")


def conclude(deployment: Deployment, error: ToolError) -> None:
    """A permanent error before the first request was served ends the deployment; any other is tried again."""
    log.warning("reconcile_failed", deployment=deployment.pk, kind=error.kind, error=str(error))
    message = error.message.to_json()
    try:
        if error.permanent and deployment.live_at is None:
            observing.fail(deployment, kind=error.kind, message=message, log=error.log)
        else:
            observing.defer(deployment, kind=error.kind, message=message)
    except StateConflict:
        log.info("overtaken", deployment=deployment.pk)


def owned(deployment: Deployment, driver: Driver) -> dict[str, ReplicaStatus]:
    statuses = driver.list_owned(settings.SLIPWAY_INSTANCE)
    return {s.name: s for s in statuses if s.labels.get("deployment") == str(deployment.pk)}


def target_spec(target: Target) -> TargetSpec:
    return TargetSpec(target.name, target.kind, target.config, open_secrets(target), tuple(target.draining))


def replica_spec(deployment: Deployment, row: Replica) -> ReplicaSpec:
    release = deployment.release
    return ReplicaSpec(
        name=row.name,
        labels={
            "instance": settings.SLIPWAY_INSTANCE,
            "deployment": str(deployment.pk),
            "release": str(deployment.release_id),
            "generation": str(deployment.generation),
        },
        location=deployment.build.location,
        environment=deployment.build.environment,
        digest=deployment.build.digest,
        secret=observing.replica_secret(row),
        memory_bytes=release.memory_mb << 20,
        cpus=release.cpus,
        needs_wall=release.version.tier == 2,
        gpus=release.gpus,
        registry=registry_of(deployment.build),
    )
