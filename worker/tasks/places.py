"""Where the replicas of a deployment are, on a target with several machines."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from apps.deployments.models import Deployment, Replica
from worker.drivers.base import Driver
from worker.specs import ReplicaStatus


@dataclass(frozen=True)
class NextStep:
    """What a replica that is served needs next, as far as machines go."""

    start: bool = False  # another copy, elsewhere
    successor: ReplicaStatus | None = None  # to be served from, once it answers
    leftovers: tuple[ReplicaStatus, ...] = ()  # to be stopped


@dataclass(frozen=True)
class Places:
    """The copy of each replica that counts, and every copy there is."""

    homes: dict[str, ReplicaStatus]
    copies: dict[str, list[ReplicaStatus]]
    draining: frozenset[str]

    def next_step(self, row: Replica) -> NextStep:
        home = self.homes.get(row.name)
        if home is None or home.state != "running":
            return NextStep()
        others = [copy for copy in self.copies.get(row.name, ()) if copy is not home]
        if home.node not in self.draining:
            return NextStep(leftovers=tuple(others))
        staying = [copy for copy in others if copy.state == "running" and copy.node not in self.draining]
        return NextStep(successor=staying[0]) if staying else NextStep(start=True)


def look(deployment: Deployment, driver: Driver, draining: Sequence[str]) -> Places:
    """Ask the target. A replica on a machine that does not answer counts as running where it was: whether it really
    does shows when it is asked itself, and after half a minute of silence it is started on another machine."""
    copies: dict[str, list[ReplicaStatus]] = defaultdict(list)
    for status in driver.list_owned(settings.SLIPWAY_INSTANCE):
        if status.labels.get("deployment") == str(deployment.pk):
            copies[status.name].append(status)
    rows = {row.name: row for row in deployment.replica_set.all()}
    homes = {name: home_of(rows.get(name), found, draining) for name, found in copies.items()}
    absent = driver.absent()
    for row in rows.values():
        if row.name not in homes and row.node in absent and row.state != Replica.State.EXITED:
            homes[row.name] = ReplicaStatus(row.name, "running", row.address, node=row.node)
    return Places(homes, dict(copies), frozenset(draining))


def home_of(row: Replica | None, copies: Sequence[ReplicaStatus], draining: Sequence[str]) -> ReplicaStatus:
    """The copy that is served; where none is known, the one that will last longest."""

    def worth(copy: ReplicaStatus) -> tuple[bool, bool, bool, float]:
        is_known = row is not None and copy.node == row.node
        return copy.state == "running", is_known, copy.node not in draining, copy.started_at

    return max(copies, key=worth)
