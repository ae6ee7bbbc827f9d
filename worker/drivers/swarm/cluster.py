"""One conversation with a cluster: the first of its managers that can be asked."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.drivers.docker_host.engine import Engine, Refused
from worker.drivers.docker_host.hosts import Host, Hosts
from worker.drivers.docker_host.pulling import sign_in
from worker.errors import ToolError
from worker.specs import Message, ReplicaSpec, TargetSpec, gettext_noop

Json = dict[str, Any]

GONE, TAKEN = 404, 409

_NO_MANAGER = gettext_noop(
    "No manager of this cluster can be asked (%(reasons)s). What runs there goes on meanwhile. Look whether the"
    " managers run and are a majority, or correct their addresses and certificates."
)


class Cluster:
    """What a manager is asked. Every refusal is a ToolError, ``Refused`` with HTTP's status where it said no."""

    def __init__(self, manager: Engine) -> None:
        self.manager = manager

    def services(self, *labels: str) -> list[Json]:
        return self._list("/services", labels)

    def tasks(self, *labels: str, only_running: bool = False) -> list[Json]:
        """Those of services that are gone included, for as long as their containers are."""
        return self._list("/tasks", labels, {"desired-state": ["running"]} if only_running else {})

    def secrets(self, *labels: str) -> list[Json]:
        return self._list("/secrets", labels)

    def networks(self, *labels: str) -> list[Json]:
        return self._list("/networks", labels, {"scope": ["swarm"]})

    def nodes(self) -> list[Json]:
        return self._list("/nodes")

    def put_service(self, spec: ReplicaSpec, body: Json, current: Json | None) -> None:
        """Create a service, or update ``current`` in place; its nodes pull with the registry's password."""
        path, query = "/services/create", {}
        if current is not None:
            path, query = f"/services/{current['ID']}/update", {"version": current["Version"]["Index"]}
        with self.manager.asked("POST", path, query, body, sign_in(spec)) as response:
            response.read()

    def see_image(self, spec: ReplicaSpec) -> None:
        """Have the manager ask the registry for the replica's image, without pulling it."""
        path = f"/distribution/{spec.location}/json"
        with self.manager.asked("GET", path, {}, headers=sign_in(spec)) as response:
            response.read()

    def remove(self, path: str) -> bool:
        """Whether it is gone now; what is still in use stays."""
        try:
            self.manager.delete(path)
        except Refused as error:
            return error.status == GONE
        return True

    def _list(
        self, path: str, labels: Sequence[str] = (), filters: Mapping[str, list[str]] | None = None
    ) -> list[Json]:
        wanted = {**(filters or {}), **({"label": list(labels)} if labels else {})}
        return list(self.manager.get(path, filters=wanted) or [])


@contextlib.contextmanager
def open_cluster(target: TargetSpec) -> Iterator[Cluster]:
    """The cluster of a target for as long as the block runs.

    ToolError ``no_manager`` tells of each manager why it cannot be asked.
    """
    managers = Hosts(replace(target, config={"hosts": target.config.get("managers") or ()}))
    with contextlib.ExitStack() as stack:
        yield Cluster(_find(managers, stack))


def _find(managers: Hosts, stack: contextlib.ExitStack) -> Engine:
    reasons = []
    for host in managers.all:
        try:
            return stack.enter_context(_asked(managers, host))
        except ToolError as error:
            reasons.append(str(error).rstrip("."))
    params = {"reasons": "; ".join(reasons)[:500] or "the target names none"}
    raise ToolError(Message(_NO_MANAGER, params), kind="no_manager")


@contextlib.contextmanager
def _asked(managers: Hosts, host: Host) -> Iterator[Engine]:
    """Only a manager that sees a majority of the others can tell what the swarm is."""
    with managers.engine(host) as engine:
        engine.get("/swarm")
        yield engine
