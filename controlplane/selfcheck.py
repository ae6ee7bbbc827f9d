"""What must hold at any time, whatever broke: looked at from outside, with the eyes of the gateway and of the targets.

Everything may be on the move while we look, so a problem counts only when it is still there a moment later.
"""

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Q
from django.utils import timezone

from apps.audit.services import verify_chain
from apps.audit.verifier import Verdict, say
from apps.core.errors import DomainError
from apps.core.leases import Leased
from apps.deployments.models import Deployment, Replica, Route
from apps.deployments.observing import forgotten
from apps.library.models import Artifact, ModelVersion
from apps.library.store import get_store
from apps.monitoring.models import Delivery
from apps.releases.models import Build
from apps.targets.models import Target
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.specs import ReplicaStatus
from worker.tasks.reconcile import target_spec
from worker.tasks.sweep import ROWS

LONGEST_LEASE = timedelta(minutes=10)
OVERDUE = timedelta(minutes=10)
PAUSE_SECONDS = 3.0  # longer than one look at a deployment takes


@dataclass
class World:
    """What the targets say they run, asked once for all checks."""

    seen: dict[int, dict[str, list[ReplicaStatus]]] = field(default_factory=dict)  # by target, by name
    away: dict[int, str] = field(default_factory=dict)  # targets that do not answer, and how


Check = Callable[[World], Iterator[str]]


def find_problems(*, is_deep: bool = False) -> dict[str, list[str]]:
    """By what must hold: the sentences that say where it does not. ``is_deep`` reads every stored byte again."""
    checks = CHECKS | ({"stored bytes are what their names say": damaged_artifacts} if is_deep else {})
    found = _look(checks)
    if not any(found.values()):
        return found
    time.sleep(PAUSE_SECONDS)
    again = _look({name: check for name, check in checks.items() if found[name]})
    return {name: [one for one in lines if one in again.get(name, [])] for name, lines in found.items()}


def _look(checks: dict[str, Check]) -> dict[str, list[str]]:
    world = look_around()
    return {name: list(check(world)) for name, check in checks.items()}


def look_around() -> World:
    world = World()
    for target in Target.objects.all():
        try:
            statuses = open_driver(target_spec(target), Path(settings.SLIPWAY_HOME)).list_owned(
                settings.SLIPWAY_INSTANCE
            )
        except ToolError as error:
            if target.is_enabled:  # a disabled one may be silent for good
                world.away[target.pk] = f"target “{target.name}” does not answer: {error}"
            continue
        by_name: dict[str, list[ReplicaStatus]] = defaultdict(list)
        for status in statuses:
            by_name[status.name].append(status)
        world.seen[target.pk] = by_name
    return world


def silent_targets(world: World) -> Iterator[str]:
    yield from world.away.values()


def dead_routes(world: World) -> Iterator[str]:
    """Calls that would reach nobody."""
    rows = Replica.objects.filter(state=Replica.State.RUNNING, deployment__routes__weight__gt=0)
    for row in rows.select_related("deployment"):
        seen = world.seen.get(row.deployment.target_id)
        if seen is not None and not any(one.address == row.address for one in seen.get(row.name, [])):
            yield f"calls go to replica {row.name} at {row.address or 'no address'}, where it does not run"
    healthy = Count("deployment__replica_set", filter=Q(deployment__replica_set__state=Replica.State.RUNNING))
    for route in Route.objects.filter(weight__gt=0).annotate(healthy=healthy).select_related("deployment"):
        if not route.healthy and route.deployment.phase == Deployment.Phase.RUNNING:  # type: ignore[attr-defined]
            yield f"deployment {route.deployment_id} is said to run, but none of its replicas does"
        if not route.deployment.is_wanted:
            yield f"calls go to deployment {route.deployment_id}, which nobody wants to run"


def uneven_routes(world: World) -> Iterator[str]:
    sums: Counter[str] = Counter()
    for route in Route.objects.select_related("endpoint__project"):
        sums[f"{route.endpoint.project.slug}/{route.endpoint.name}"] += route.weight
    yield from (f"the shares of {name} sum to {total} %" for name, total in sums.items() if total != 100)


def orphans(world: World) -> Iterator[str]:
    """Replicas with our label that belong to no deployment; the sweep takes them away within a minute or two."""
    for pk, by_name in world.seen.items():
        owners = {name: int(each[0].labels.get("deployment") or 0) for name, each in by_name.items()}
        for name in forgotten(owners):
            yield f"{name} runs on target “{Target.objects.get(pk=pk).name}” and belongs to no deployment"


def unapproved(world: World) -> Iterator[str]:
    """Deployments whose release was not approved, as it is, by enough people. (Triggers keep its authors out.)"""
    same = Q(release__reviews__decision="approve", release__reviews__subject=F("release__subject"))
    rows = Deployment.objects.filter(is_wanted=True).annotate(given=Count("release__reviews", filter=same))
    for row in rows.select_related("release", "build"):
        if row.release.state != "approved":
            yield f"deployment {row.pk} is wanted, but release #{row.release_id} is {row.release.state}"
        if row.given < row.release.approvals_required:
            needed = row.release.approvals_required
            yield f"release #{row.release_id} has {row.given} of {needed} approvals of what deployment {row.pk} runs"
        if row.build.release_id != row.release_id or row.build.state != Build.State.DONE:
            yield f"deployment {row.pk} runs build {row.build_id}, which is not a finished build of its release"


def strange_bytes(world: World) -> Iterator[str]:
    """Replicas that run something else than what was built for them."""
    for row in Replica.objects.select_related("deployment__build"):
        for status in world.seen.get(row.deployment.target_id, {}).get(row.name, []):
            runs, built = status.digest, row.deployment.build.digest
            if runs and runs != built:
                yield f"{row.name} runs {runs}, but {built} was built and approved"


def stuck_leases(world: World) -> Iterator[str]:
    for model in ROWS.values():
        for row in model._default_manager.filter(lease_until__gt=timezone.now() + LONGEST_LEASE):
            yield f"{_named(row)} is held until {row.lease_until:%Y-%m-%d %H:%M}, longer than any lease lasts"


def neglected_work(world: World) -> Iterator[str]:
    """What is due and nobody does, and what was put aside because it kills whoever does it."""
    for model in ROWS.values():
        late = model._default_manager.filter(due_at__lt=timezone.now() - OVERDUE)
        for row in late.filter(Q(lease_until=None) | Q(lease_until__lt=timezone.now())):
            yield f"{_named(row)} is due since {row.due_at:%Y-%m-%d %H:%M}; is a worker running?"
    for deployment in Deployment.objects.filter(conditions__has_key="parked"):
        yield f"deployment {deployment.pk} is put aside: its worker was lost every time"


def lost_work(world: World) -> Iterator[str]:
    """What is under way without an owner and without a time at which somebody would look."""
    moving = {
        ModelVersion: Q(state__in=["uploaded", "examining"]),
        Build: Q(state__in=["queued", "running"]),
        Delivery: Q(state="queued"),
        Deployment: Q(is_wanted=True) | ~Q(phase__in=["stopped", "failed"]),
    }
    for model, is_moving in moving.items():
        for row in model._default_manager.filter(is_moving, due_at=None, lease_until=None):
            yield f"{_named(row)} is under way, but nobody will look at it again"


def broken_log(world: World) -> Iterator[str]:
    found = verify_chain()
    if not found.is_whole:
        yield say(Verdict(found.seq, found.hash, found.problem))


def missing_artifacts(world: World) -> Iterator[str]:
    kept = {one.sha256: one.size for one in get_store().list_kept()}
    for row in Artifact.objects.all():
        if row.sha256 not in kept:
            yield f"the bytes of artifact {row.sha256} are gone from the store"
        elif kept[row.sha256] != row.size:
            yield f"artifact {row.sha256} has {kept[row.sha256]} bytes in the store; it should have {row.size}"


def damaged_artifacts(world: World) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="slipway-selfcheck-") as folder:
        for row in Artifact.objects.all():
            try:
                path = get_store().fetch_verified(row.sha256, Path(folder))
            except DomainError as error:
                yield str(error)
                continue
            if path.parent == Path(folder):
                path.unlink()  # a copy out of a bucket: the next one needs the room


def _named(row: Leased) -> str:
    return f"{row._meta.verbose_name} {row.pk}"


CHECKS: dict[str, Check] = {
    "every target answers": silent_targets,
    "calls go to what runs": dead_routes,
    "the shares of every endpoint sum to 100 %": uneven_routes,
    "nothing of ours is left over anywhere": orphans,
    "what runs was approved": unapproved,
    "what runs is what was built": strange_bytes,
    "no lease is stuck": stuck_leases,
    "nothing that is due is neglected": neglected_work,
    "nothing under way is forgotten": lost_work,
    "the audit log is whole": broken_log,
    "stored bytes are there": missing_artifacts,
}
