"""The verbs of a driver on a Docker Swarm cluster."""

import time

from worker.drivers.base import Driver
from worker.drivers.swarm import belongings, checks, reading, seeing, starting
from worker.drivers.swarm.cluster import Cluster, open_cluster
from worker.drivers.swarm.engines import Engines
from worker.drivers.swarm.services import REPLICA
from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus, TargetSpec, gettext_noop

SPARE_SECONDS = 15.0  # beyond the drain in which an orderly end is still awaited
LOOK_SECONDS = 0.1

_STAYS = gettext_noop("%(name)s was told to stop and has not ended within %(seconds)d s; it will be tried again.")


class SwarmDriver(Driver):
    """Keeps one service, one secret and one network for each replica; see the package for why."""

    def __init__(self, target: TargetSpec) -> None:
        self.target = target
        self.engines = Engines(target)
        self.constraints = tuple(str(each) for each in target.config.get("constraints") or ())

    def check(self) -> list[CheckLine]:
        with open_cluster(self.target) as cluster:
            return checks.check(cluster, self.engines, self.constraints)

    def nodes(self) -> list[Node]:
        with open_cluster(self.target) as cluster:
            running, nodes = cluster.tasks(only_running=True), cluster.nodes()
        nodes.sort(key=reading.hostname)
        return [reading.read_node(node, running, self.engines.figures(node)) for node in nodes]

    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        self.refuse_unwalled(spec)
        with open_cluster(self.target) as cluster:
            seen = seeing.find(cluster, spec.name)
            if seen is not None and seen.status.state == "running":
                return seen.status
            is_kept_off = False
            if seen is None or seen.status.state == "exited":
                starting.refuse_other_image(cluster, spec)
                starting.refuse_old_managers(cluster, spec)
                is_kept_off = starting.put(cluster, spec, self.constraints, seen.service if seen else None)
            started = starting.watch(cluster, spec, self.constraints, is_kept_off=is_kept_off)
            return self._explained(cluster, started, spec.name)

    def stop(self, name: str, drain_seconds: float) -> None:
        with open_cluster(self.target) as cluster:
            services = cluster.services(f"{REPLICA}={name}")
            for service in services:
                cluster.remove(f"/services/{service['ID']}")
            _wait_until_ended(cluster, name, drain_seconds)
            belongings.remove(cluster, name)
            for service in services:
                belongings.sweep(cluster, service["Spec"]["Labels"].get("slipway.instance", ""))

    def status(self, name: str) -> ReplicaStatus:
        with open_cluster(self.target) as cluster:
            return self._explained(cluster, seeing.find(cluster, name), name)

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        if lines <= 0:
            return []
        with open_cluster(self.target) as cluster:
            seen = seeing.find(cluster, name)
            return seeing.read_logs(cluster, seen, lines, since) if seen else []

    def stats(self, name: str) -> ReplicaStats | None:
        with open_cluster(self.target) as cluster:
            seen = seeing.find(cluster, name)
        return self.engines.stats(seen) if seen and seen.status.state == "running" else None

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        with open_cluster(self.target) as cluster:
            found = seeing.look(cluster, f"slipway.instance={instance}")
            return [self._explained(cluster, seen, seen.status.name) for seen in found]

    def _explained(self, cluster: Cluster, seen: seeing.Seen | None, name: str) -> ReplicaStatus:
        if seen is None:
            return ReplicaStatus(name, "gone")
        return seeing.explain(cluster, seen, is_out_of_memory=self.engines.was_out_of_memory(seen))


def _wait_until_ended(cluster: Cluster, name: str, drain_seconds: float) -> None:
    """Until no machine that answers has a task of this name any more; a lost one ends its own when it is back."""
    patience = drain_seconds + SPARE_SECONDS
    deadline = time.monotonic() + patience
    while seeing.is_still_running(cluster, name):
        if time.monotonic() > deadline:
            raise ToolError(Message(_STAYS, {"name": name, "seconds": patience}), kind="still_running")
        time.sleep(LOOK_SECONDS)
