"""The nodes' own engines, where the target names the port that they answer on.

A cluster tells neither what a container uses, nor what a machine has free, nor whether a container was ended for want
of memory. Its nodes' engines do, with the same certificates as the managers: ``engine_port`` in the target's settings.
Without it these stay unknown.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from worker.drivers.docker_host import figures, pulling
from worker.drivers.docker_host.engine import Engine
from worker.drivers.docker_host.figures import Figures
from worker.drivers.docker_host.hosts import Host, Hosts
from worker.drivers.docker_host.reading import read_stats
from worker.drivers.swarm import reading
from worker.drivers.swarm.seeing import Seen
from worker.errors import ToolError
from worker.specs import ReplicaSpec, ReplicaStats, TargetSpec

Json = dict[str, Any]
T = TypeVar("T")


class Engines:
    """Asks the engines of one target's nodes; one that does not answer leaves a gap and is no error."""

    def __init__(self, target: TargetSpec) -> None:
        self.port = int(target.config.get("engine_port") or 0)
        self._hosts, self._eyes = Hosts(target), target.eyes

    def answers(self, node: Json) -> bool:
        return self._ask(node, lambda engine: engine.get("/_ping")) is not None

    def figures(self, node: Json) -> Figures | None:
        """What the machine has free."""
        return self._ask(node, lambda engine: figures.look(engine, self._eyes))

    def stats(self, seen: Seen) -> ReplicaStats | None:
        """Processor time and memory of a running replica."""
        query = {"stream": False, "one-shot": True}
        found = self._ask_of(seen, "stats", query)
        return read_stats(seen.status.name, found) if found else None

    def was_out_of_memory(self, seen: Seen) -> bool:
        """Whether the kernel ended it for using more memory than it may; false where nobody can say."""
        found = self._ask_of(seen, "json", {}) if seen.status.state == "exited" else None
        return bool(found and found["State"]["OOMKilled"])

    def fetch(self, node: Json, spec: ReplicaSpec) -> None:
        """Have the node's engine pull the replica's image; ToolError says why not. Does nothing without a port."""
        if self.port:
            with self._hosts.engine(self._host(node)) as engine:
                pulling.fetch(engine, spec)

    def _ask_of(self, seen: Seen, what: str, query: Json) -> Json | None:
        """What its node's engine says of the replica's container."""
        container = seen.task["Status"].get("ContainerStatus", {}).get("ContainerID") if seen.task else None
        if seen.node is None or not container:
            return None
        return self._ask(seen.node, lambda engine: engine.get(f"/containers/{container}/{what}", **query))

    def _ask(self, node: Json, question: Callable[[Engine], T]) -> T | None:
        if not self.port or not reading.is_up(node):
            return None
        try:
            with self._hosts.engine(self._host(node)) as engine:
                return question(engine)
        except ToolError:
            return None

    def _host(self, node: Json) -> Host:
        return Host(reading.hostname(node), f"tcp://{reading.address_of(node)}:{self.port}")
