"""What the cluster says of services, tasks and nodes, as the statuses and nodes that everybody else knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from worker.drivers.docker_host.figures import Figures
from worker.drivers.docker_host.policy import PORT
from worker.drivers.docker_host.reading import digest_of, own_labels
from worker.drivers.swarm.services import REPLICA
from worker.specs import Message, Node, ReplicaStatus, gettext_noop

Json = dict[str, Any]

_WAITS = frozenset({"new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "allocated"})
_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
_LOST = gettext_noop(
    "The machine %(node)s, on which it ran, does not answer the cluster any more. Look whether it is up and reachable."
)
_LEFT = gettext_noop(
    "The machine %(node)s, on which it ran, is being emptied. Make sure that another one has room for it."
)


def standing(service: Json, tasks: Sequence[Json]) -> Json | None:
    """The task that stands for the service now: one that runs and shall, else the newest since its last update.

    None for the moment after an update in which Swarm has not made the new one yet.
    """
    version = service["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
    running = [task for task in tasks if task["Status"]["State"] == task["DesiredState"] == "running"]
    current = [task for task in tasks if task["Spec"].get("ForceUpdate", 0) == version]
    return max(running or current, key=lambda task: seconds(task["CreatedAt"]), default=None)


def read_status(service: Json, task: Json | None, node: Json | None) -> ReplicaStatus:
    """A replica by its service, its newest task and that task's machine; why it ended is for others to say."""
    labels = service["Spec"].get("Labels") or {}
    name = labels[REPLICA]
    ours = own_labels(labels)
    if task is None:
        return ReplicaStatus(name, "starting", labels=ours)
    state = _state(task, node)
    address = f"{address_of(node)}:{port}" if state == "running" and node and (port := _port(task)) else ""
    if state == "running" and not address:
        state = "starting"  # the port is told a moment later
    where, digest = hostname(node) if node else "", digest_of(str(task["Spec"]["ContainerSpec"]["Image"]))
    return ReplicaStatus(name, state, address, ours, seconds(task["CreatedAt"]), node=where, digest=digest)


def occupies(task: Json) -> bool:
    """Whether its container runs, or is about to."""
    return task["Status"]["State"] not in _ENDED


def fate(task: Json, node: Json | None) -> tuple[str, Message] | None:
    """Kind and reason, where the replica ended by what befell its machine and not by itself."""
    if node is not None and is_lost(node):
        return "node_lost", Message(_LOST, {"node": hostname(node)})
    if node is not None and node["Spec"]["Availability"] == "drain":
        return "node_drained", Message(_LEFT, {"node": hostname(node)})
    return None


def read_node(node: Json, tasks: Sequence[Json], seen: Figures | None) -> Node:
    """One machine, as its own engine tells it; else its free memory is what no running task has set aside."""
    about = node["Description"].get("Resources", {})
    memory = int(about.get("MemoryBytes", 0))
    unreserved = max(0, memory - sum(_reserved(task) for task in tasks if task.get("NodeID") == node["ID"]))
    free = seen.memory_free_bytes if seen and seen.memory_free_bytes is not None else unreserved
    return Node(
        name=hostname(node),
        state=_node_state(node),
        cpus=about.get("NanoCPUs", 0) / 1e9,
        memory_bytes=memory,
        memory_free_bytes=free,
        disk_free_bytes=(seen.disk_free_bytes or 0) if seen else 0,
        gpus=(seen.gpus if seen else ()) or tuple(gpus(node)),
        load=seen.load if seen else None,
        owners=seen.owners if seen else {},
    )


def gpus(node: Json) -> list[Json]:
    """Generic resources of the kind ``gpu`` (any case), by name where the node's administrator gave names."""
    found: list[Json] = []
    for each in node["Description"].get("Resources", {}).get("GenericResources") or []:
        named, counted = each.get("NamedResourceSpec"), each.get("DiscreteResourceSpec")
        if named and named["Kind"].lower() == "gpu":
            found.append({"name": named["Value"]})
        if counted and counted["Kind"].lower() == "gpu":
            found += [{"name": f"gpu {number}"} for number in range(int(counted["Value"]))]
    return found


def is_up(node: Json) -> bool:
    return bool(node["Status"]["State"] == "ready")


def is_lost(node: Json) -> bool:
    """Given up by the cluster, which is more than not being up: after a new election every node is unknown at first."""
    return bool(node["Status"]["State"] == "down")


def hostname(node: Json) -> str:
    return str(node["Description"].get("Hostname") or node["ID"])


def address_of(node: Json) -> str:
    """The node's own address; a manager that listens everywhere tells it only as a manager."""
    address = str(node["Status"].get("Addr", ""))
    if address in {"", "0.0.0.0", "127.0.0.1"}:
        address = str(node.get("ManagerStatus", {}).get("Addr", "")).rpartition(":")[0]
    return address


def seconds(moment: str) -> float:
    """Docker's moments as seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()


def _state(task: Json, node: Json | None) -> str:
    state, wanted = task["Status"]["State"], task["DesiredState"]
    if state in _ENDED or wanted in {"shutdown", "remove"} or (node is not None and is_lost(node)):
        return "exited"
    return "starting" if state in _WAITS else "running"


def _port(task: Json) -> int:
    ports = task["Status"].get("PortStatus", {}).get("Ports") or []
    return next((int(each["PublishedPort"]) for each in ports if each["TargetPort"] == PORT), 0)


def _node_state(node: Json) -> str:
    if not is_up(node):
        return "down"
    return "ready" if node["Spec"]["Availability"] == "active" else "draining"


def _reserved(task: Json) -> int:
    return int(task["Spec"].get("Resources", {}).get("Reservations", {}).get("MemoryBytes", 0))
