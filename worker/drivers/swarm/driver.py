"""The verbs of a driver on a Docker Swarm cluster."""

import time
from collections.abc import Sequence
from typing import NoReturn

from worker.drivers.base import Driver
from worker.drivers.docker_host import pulling
from worker.drivers.swarm import belongings, checks, reading, seeing, starting
from worker.drivers.swarm.cluster import Cluster, open_cluster
from worker.drivers.swarm.engines import Engines
from worker.drivers.swarm.seeing import Seen
from worker.drivers.swarm.services import REPLICA
from worker.drivers.swarm.starting import Start
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
            copies = seeing.look(cluster, f"{REPLICA}={spec.name}")
            leaving = [seen for seen in copies if self._leaves(seen)]
            current = self._best([seen for seen in copies if seen not in leaving])
            if current is not None and current.status.state == "running":
                return current.status
            try:
                return self._explained(cluster, self._start(cluster, spec, current, leaving), spec.name)
            except ToolError as error:
                if error.kind == "no_node" and leaving:
                    return leaving[0].status  # it stays where it is until there is room elsewhere
                raise

    def stop(self, name: str, drain_seconds: float) -> None:
        with open_cluster(self.target) as cluster:
            copies = seeing.look(cluster, f"{REPLICA}={name}")
            _stop(cluster, name, copies, drain_seconds)
            for seen in copies:
                belongings.sweep(cluster, seen.status.labels.get("instance", ""))

    def stop_copy(self, name: str, node: str, drain_seconds: float) -> None:
        with open_cluster(self.target) as cluster:
            copies = seeing.look(cluster, f"{REPLICA}={name}")
            _stop(cluster, name, [seen for seen in copies if seen.status.node == node], drain_seconds)

    def status(self, name: str) -> ReplicaStatus:
        with open_cluster(self.target) as cluster:
            return self._explained(cluster, self._best(seeing.look(cluster, f"{REPLICA}={name}")), name)

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        if lines <= 0:
            return []
        with open_cluster(self.target) as cluster:
            seen = self._best(seeing.look(cluster, f"{REPLICA}={name}"))
            return seeing.read_logs(cluster, seen, lines, since) if seen else []

    def stats(self, name: str) -> ReplicaStats | None:
        with open_cluster(self.target) as cluster:
            seen = self._best(seeing.look(cluster, f"{REPLICA}={name}"))
        return self.engines.stats(seen) if seen and seen.status.state == "running" else None

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        with open_cluster(self.target) as cluster:
            found = seeing.look(cluster, f"slipway.instance={instance}")
            return [self._explained(cluster, seen, seen.status.name) for seen in found]

    def _start(self, cluster: Cluster, spec: ReplicaSpec, current: Seen | None, leaving: Sequence[Seen]) -> Seen | None:
        """Beside the copies that leave a machine which drains, or again in place of one that ended."""
        taken = {seen.service["Spec"]["Name"] for seen in leaving}
        free = next(title for title in (spec.name, f"{spec.name}-moved") if title not in taken)
        title = current.service["Spec"]["Name"] if current else free
        kept_out = [f"node.hostname!={name}" for name in self.target.draining]
        start = Start(cluster, spec, [*self.constraints, *kept_out], title)
        if current is None or current.status.state == "exited":
            starting.refuse_other_image(cluster, spec)
            starting.refuse_old_managers(cluster, spec)
            start.put(current.service if current else None)
        seen = start.watch()
        if seen is not None and (trouble := starting.lack_of_image(seen)):
            self._explain_lack(cluster, spec, seen, trouble)
        return seen

    def _explain_lack(self, cluster: Cluster, spec: ReplicaSpec, seen: Seen, trouble: str) -> NoReturn:
        """A cluster only says "no such image"; the node's own engine, asked to pull it, says why."""
        _stop(cluster, spec.name, [seen], 0.0)
        if seen.node is not None:
            self.engines.fetch(seen.node, spec)
        raise pulling.explain(cluster.manager, spec, trouble)

    def _leaves(self, seen: Seen) -> bool:
        return seen.status.state == "running" and seen.status.node in self.target.draining

    def _best(self, copies: Sequence[Seen]) -> Seen | None:
        """Of several copies the one that runs, and will go on to."""
        return max(copies, key=lambda seen: (seen.status.state == "running", not self._leaves(seen)), default=None)

    def _explained(self, cluster: Cluster, seen: Seen | None, name: str) -> ReplicaStatus:
        if seen is None:
            return ReplicaStatus(name, "gone")
        return seeing.explain(cluster, seen, is_out_of_memory=self.engines.was_out_of_memory(seen))


def _stop(cluster: Cluster, name: str, copies: Sequence[Seen], drain_seconds: float) -> None:
    """Returns once no machine that answers has a task of them; a lost one ends its own when it is back."""
    services = {seen.service["ID"] for seen in copies}
    for service in services:
        cluster.remove(f"/services/{service}")
    patience = drain_seconds + SPARE_SECONDS
    deadline = time.monotonic() + patience
    while seeing.is_still_running(cluster, name, services):
        if time.monotonic() > deadline:
            raise ToolError(Message(_STAYS, {"name": name, "seconds": patience}), kind="still_running")
        time.sleep(LOOK_SECONDS)
    belongings.remove(cluster, name)
