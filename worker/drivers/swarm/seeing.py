"""Replicas as the cluster shows them, and why one of them ended."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker.drivers import endings
from worker.drivers.docker_host.engine import Refused
from worker.drivers.docker_host.reading import lines_of
from worker.drivers.swarm import reading
from worker.drivers.swarm.cluster import Cluster
from worker.drivers.swarm.services import REPLICA
from worker.specs import Message, ReplicaStatus, gettext_noop

Json = dict[str, Any]

_REJECTED = gettext_noop("The machine %(node)s would not start it: %(reason)s. Mend that, or add a machine that can.")
_UNHEALTHY = gettext_noop("It did not answer any more, and the cluster ended it. Read the end of its log.")
_SIGNALS = 128  # an engine's exit code of what died by a signal is this and the signal


@dataclass(frozen=True)
class Seen:
    """One replica: its service, the task that stands for it now, that task's machine, and what they mean."""

    service: Json
    task: Json | None
    node: Json | None
    status: ReplicaStatus


def find(cluster: Cluster, name: str, title: str) -> Seen | None:
    """The copy of a replica whose service has this title."""
    copies = look(cluster, f"{REPLICA}={name}")
    return next((seen for seen in copies if seen.service["Spec"]["Name"] == title), None)


def look(cluster: Cluster, label: str) -> list[Seen]:
    """Every replica with this label, by name: three questions, however many there are."""
    services = cluster.services(label)
    if not services:
        return []
    nodes = {node["ID"]: node for node in cluster.nodes()}
    tasks: dict[str, list[Json]] = {}
    for task in cluster.tasks(label):
        tasks.setdefault(task["ServiceID"], []).append(task)
    seen = [_see(service, tasks.get(service["ID"], []), nodes) for service in services]
    return sorted(seen, key=lambda each: (each.status.name, each.status.node))


def is_still_running(cluster: Cluster, name: str, services: Collection[str]) -> bool:
    """Whether a machine that answers has a task of these services (by id), be they there or not."""
    tasks = [task for task in cluster.tasks(f"{REPLICA}={name}") if task["ServiceID"] in services]
    if not tasks:
        return False
    lost = {node["ID"] for node in cluster.nodes() if reading.is_lost(node)}
    return any(reading.occupies(task) and task.get("NodeID") not in lost for task in tasks)


def explain(cluster: Cluster, seen: Seen, *, is_out_of_memory: bool = False) -> ReplicaStatus:
    """The status, with kind, reason and the telling line of its log where it ended."""
    if seen.status.state != "exited" or seen.task is None:
        return seen.status
    fate = reading.fate(seen.task, seen.node)
    if fate is not None:
        return replace(seen.status, kind=fate[0], reason=fate[1])
    trouble = str(seen.task["Status"].get("Err", ""))
    if seen.task["Status"]["State"] == "rejected":
        params = {"node": reading.hostname(seen.node) if seen.node else "?", "reason": trouble.rstrip(".")}
        return replace(seen.status, kind="start_failed", reason=Message(_REJECTED, params), log=trouble)
    lines = read_logs(cluster, seen, 200)
    if "unhealthy" in trouble:
        line = endings.telling_line(lines)
        return replace(seen.status, kind="unhealthy", reason=Message(_UNHEALTHY), log=line)
    ending = endings.explain(_report(seen.task, is_out_of_memory=is_out_of_memory), lines)
    return replace(
        seen.status, exit_code=ending.exit_code, kind=ending.kind, reason=ending.reason, log=ending.log
    )  # fmt: skip


def read_logs(cluster: Cluster, seen: Seen, lines: int, since: float = 0.0) -> list[str]:
    """What its tasks wrote, oldest first; nothing where its machine does not answer."""
    if seen.node is None or not reading.is_up(seen.node):
        return []
    query = {"stdout": True, "stderr": True, "tail": lines, "since": int(since)}
    try:
        data = cluster.manager.get(f"/services/{seen.service['ID']}/logs", **query)
    except Refused:  # nothing has run yet, or its service is gone by now
        return []
    return lines_of(data)[-lines:]


def _see(service: Json, tasks: list[Json], nodes: Mapping[str, Json]) -> Seen:
    task = reading.standing(service, tasks)
    node = nodes.get(task.get("NodeID", "")) if task else None
    return Seen(service, task, node, reading.read_status(service, task, node))


def _report(task: Json, *, is_out_of_memory: bool) -> dict[str, Any]:
    """As the sandbox's warden reports an end, so that the same words serve for both."""
    code = task["Status"].get("ContainerStatus", {}).get("ExitCode", 0)
    if is_out_of_memory:
        return {"exceeded": "memory", "exit_code": code}
    return {"signal": code - _SIGNALS} if code > _SIGNALS else {"exit_code": code}
