"""The verbs, over all hosts of a target."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from worker.drivers.base import Driver
from worker.drivers.docker_host import checks, figures, garbage, launching, placement, policy, pulling, reading
from worker.drivers.docker_host.engine import Engine, Refused
from worker.drivers.docker_host.figures import Figures
from worker.drivers.docker_host.hosts import Hosts
from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus, TargetSpec, gettext_noop

Json = dict[str, Any]
T = TypeVar("T")
Looks = Mapping[str, tuple[list[CheckLine], Figures]]  # by host

_FRESH_SECONDS = 5.0  # a check and the list of nodes that follows it are one look

_NO_HOST = gettext_noop(
    "No host of %(target)s can take another replica: %(reasons)s. Undrain or mend one, or add another; it will be tried"
    " again."
)
_DRAINS = gettext_noop("%(host)s drains")
_NO_GPU_LEFT = gettext_noop("no GPU is left")


@dataclass(frozen=True)
class View:
    """One host as ``start`` sees it: its containers of ours, and its room."""

    containers: list[Json]
    memory_bytes: int
    gpus: int

    def copy_of(self, name: str) -> Json | None:
        return next((each for each in self.containers if reading.name_of(each) == name), None)

    def room(self, name: str, spec: ReplicaSpec) -> placement.Room:
        live = [each["Labels"] for each in self.containers if each["State"] == "running"]
        ours = {f"{policy.LABEL}{key}": spec.labels.get(key, "") for key in ("instance", "deployment")}
        return placement.Room(
            name=name,
            siblings=sum(all(labels.get(key) == value for key, value in ours.items()) for labels in live),
            replicas=len(live),
            memory_free_bytes=self.memory_bytes - sum(int(labels.get(policy.MEMORY) or 0) for labels in live),
            gpus=self.gpus - sum(int(labels.get(policy.GPUS) or 0) for labels in live),
        )


class DockerHostDriver(Driver):
    """Keeps a replica as one container of its name, on whichever host has room for it.

    A host that does not answer is left out and named by ``absent``; what runs there is neither known nor touched. While
    a replica moves off a host that drains, it has a copy on each of two hosts (see ``stop_copy``).
    """

    is_walled = True  # no way out, nothing writable, nobody else's network or processes: see policy and system_calls

    def __init__(self, target: TargetSpec) -> None:
        self.target = target
        self.hosts = Hosts(target)
        self._seen: tuple[float, Looks] = (float("-inf"), {})

    def check(self) -> list[CheckLine]:
        told = self._look()
        lines = [line for host in self.hosts.all if host.name in told for line in told[host.name][0]]
        return lines + [checks.away(name, error) for name, error in self.hosts.away.items()]

    def nodes(self) -> list[Node]:
        told = self._look()
        return [self._node(host.name, told[host.name][1] if host.name in told else None) for host in self.hosts.all]

    def absent(self) -> frozenset[str]:
        return frozenset(self.hosts.away)

    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        self.refuse_unwalled(spec)
        pulling.refuse_other_image(spec)
        views = self.hosts.ask(lambda engine: _view(engine, spec))
        current = self._current(views, spec.name)
        if current is not None and current not in self.target.draining:
            return self._on(current, lambda engine: _status(engine, spec.name))
        chosen = self._choose(views, spec)
        if chosen is None and current is not None:
            return self._on(current, lambda engine: _status(engine, spec.name))
        if chosen is None:
            raise self._no_host(views)
        return self._on(chosen, lambda engine: _start(engine, spec))

    def stop(self, name: str, drain_seconds: float) -> None:
        self.hosts.ask(lambda engine: _stop(engine, name, drain_seconds))

    def stop_copy(self, name: str, node: str, drain_seconds: float) -> None:
        self._on(node, lambda engine: _stop(engine, name, drain_seconds))

    def status(self, name: str) -> ReplicaStatus:
        found = [status for status in self._everywhere(lambda engine: _status(engine, name)) if status.state != "gone"]
        if not found and self.hosts.away:
            raise next(iter(self.hosts.away.values()))  # it may be there: nobody can tell
        found.sort(key=lambda status: (status.state == "running", status.started_at))
        return found[-1] if found else ReplicaStatus(name, "gone")

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        if lines <= 0:
            return []
        return next(filter(None, self._everywhere(lambda engine: _log(engine, name, lines, since))), [])

    def stats(self, name: str) -> ReplicaStats | None:
        return next(filter(None, self._everywhere(lambda engine: _stats(engine, name))), None)

    def tidy(self, instance: str, kept: Collection[str], repository: str, *, is_dry: bool = False) -> list[str]:
        told = self.hosts.ask(lambda engine: garbage.tidy(engine, instance, kept, repository, is_dry=is_dry))
        return [f"{name}: {each}" for name, found in told.items() for each in found]

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        label = f"{policy.LABEL}instance={instance}"
        told = self._everywhere(lambda engine: [_read(engine, each) for each in _containers(engine, label)])
        found = [status for statuses in told for status in statuses if status.state != "gone"]
        return sorted(found, key=lambda status: (status.name, status.node))

    def _everywhere(self, question: Callable[[Engine], T]) -> list[T]:
        return list(self.hosts.ask(question).values())

    def _on(self, name: str, question: Callable[[Engine], T]) -> T:
        with self.hosts.engine(self.hosts[name]) as engine:
            return question(engine)

    def _look(self) -> Looks:
        """Every host's lines and figures, those of a moment ago where there are any."""
        at, told = self._seen
        if time.monotonic() - at > _FRESH_SECONDS:
            told = self._ask_all()
            self._seen = time.monotonic(), told
        return told

    def _ask_all(self) -> Looks:
        """A target whose hosts are all away is a look too: each says why."""
        try:
            return self.hosts.ask(lambda engine: checks.inspect(engine, self.target.eyes))
        except ToolError:
            if not self.hosts.away:
                raise
            return {}

    def _node(self, name: str, seen: Figures | None) -> Node:
        if seen is None:
            return Node(name, "down", 0.0, 0, 0, 0)
        free = seen.memory_bytes if seen.memory_free_bytes is None else seen.memory_free_bytes
        state = "draining" if name in self.target.draining else "ready"
        disk = seen.disk_free_bytes or 0
        return Node(name, state, seen.cpus, seen.memory_bytes, free, disk, seen.gpus, seen.load, seen.owners)

    def _current(self, views: Mapping[str, View], name: str) -> str | None:
        """The host on which the replica runs; of two the one that does not drain."""
        copies = {host: view.copy_of(name) for host, view in views.items()}
        running = [host for host, copy in copies.items() if copy and copy["State"] == "running"]
        return min(running, key=lambda host: host in self.target.draining, default=None)

    def _choose(self, views: Mapping[str, View], spec: ReplicaSpec) -> str | None:
        rooms = [view.room(name, spec) for name, view in views.items() if name not in self.target.draining]
        return placement.choose(rooms, memory_bytes=spec.memory_bytes, gpus=spec.gpus, turn=_turn(spec))

    def _no_host(self, views: Mapping[str, View]) -> ToolError:
        reasons = [str(error) for error in self.hosts.away.values()]
        reasons += [_DRAINS % {"host": name} for name in views if name in self.target.draining]
        reasons += [_NO_GPU_LEFT] if set(views) - set(self.target.draining) else []
        params = {"target": self.target.name, "reasons": " ".join(reasons)[:500]}
        return ToolError(Message(_NO_HOST, params), kind="no_host")


def _turn(spec: ReplicaSpec) -> int:
    """The replica's own number, so that the first ones of many deployments do not all begin on the same host."""
    index = spec.name.rpartition("-")[2]
    deployment = spec.labels.get("deployment", "")
    return sum(int(text) for text in (index, deployment) if text.isdigit())


def _view(engine: Engine, spec: ReplicaSpec) -> View:
    info = engine.get("/info")
    gpus = _count_gpus(engine, spec) if spec.gpus and figures.has_gpu_runtime(info) else 0
    return View(_containers(engine, f"{policy.LABEL}instance"), int(info["MemTotal"]), gpus)


def _count_gpus(engine: Engine, spec: ReplicaSpec) -> int:
    """A host that has no image of ours yet looks with the replica's own, which it needs anyway."""
    seen = figures.look(engine, spec)
    if not seen.gpus and seen.trouble is not None:
        raise seen.trouble
    return len(seen.gpus)


def _containers(engine: Engine, label: str) -> list[Json]:
    return list(engine.get("/containers/json", all=True, filters={"label": [label]}))


def _read(engine: Engine, listed: Json) -> ReplicaStatus:
    if listed["State"] == "running":
        return reading.read_running(engine, listed)
    return _status(engine, reading.name_of(listed))


def _status(engine: Engine, name: str) -> ReplicaStatus:
    seen = _inspect(engine, name)
    return ReplicaStatus(name, "gone") if seen is None else reading.read_status(engine, seen)


def _inspect(engine: Engine, name: str) -> Json | None:
    """The container of that name, if it is one of ours: others may have names like it."""
    try:
        seen: Json = engine.get(f"/containers/{name}/json")
    except Refused as error:
        if error.status != 404:
            raise
        return None
    return seen if f"{policy.LABEL}instance" in (seen["Config"]["Labels"] or {}) else None


def _start(engine: Engine, spec: ReplicaSpec) -> ReplicaStatus:
    ended = _inspect(engine, spec.name)
    if ended is not None and not ended["State"]["Running"]:
        launching.remove(engine, ended["Id"])
    launching.launch(engine, spec)
    return _status(engine, spec.name)


def _stop(engine: Engine, name: str, drain_seconds: float) -> None:
    seen = _inspect(engine, name)
    if seen is None:
        return
    launching.stop(engine, seen["Id"], drain_seconds)
    labels = reading.own_labels(seen["Config"]["Labels"])
    launching.remove_network(engine, launching.network_of(labels.get("instance", ""), labels.get("deployment", "")))


def _log(engine: Engine, name: str, lines: int, since: float) -> list[str]:
    seen = _inspect(engine, name)
    return [] if seen is None else reading.read_log(engine, seen["Id"], lines, since)


def _stats(engine: Engine, name: str) -> ReplicaStats | None:
    seen = _inspect(engine, name)
    if seen is None or not seen["State"]["Running"]:
        return None
    said = engine.get(f"/containers/{seen['Id']}/stats", **{"stream": False, "one-shot": True})
    return reading.read_stats(name, said)
