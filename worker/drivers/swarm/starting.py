"""Putting a replica on the cluster, and watching it until it runs or has ended."""

import time
from collections.abc import Sequence
from typing import Any

from worker.drivers.docker_host import policy, pulling
from worker.drivers.docker_host.engine import Refused
from worker.drivers.swarm import belongings, placement, services
from worker.drivers.swarm.cluster import Cluster
from worker.drivers.swarm.seeing import Seen, find
from worker.drivers.swarm.services import REPLICA
from worker.errors import ToolError
from worker.specs import Message, ReplicaSpec, gettext_noop

Json = dict[str, Any]

START_SECONDS = 40.0  # that a start is watched; then it is "starting", and the next look goes on from there
PLACE_SECONDS = 3.0  # that Swarm may say "no suitable node" before it is believed
LOOK_SECONDS = 0.1
KEEPS_GPUS = 23  # the version of Docker from which a cluster does

_NO_NODE = gettext_noop(
    "No node of the cluster can take this replica: %(reason)s. Add or free a node, ask for less memory, or change the"
    " target's constraints; it will be tried again."
)
_OLD = gettext_noop(
    "Docker %(version)s ends replicas with GPUs whenever a node of the cluster changes (moby issue 44378). Update the"
    " managers to Docker %(wanted)s or later, or make each machine with GPUs a host of a target of kind docker."
)
_CHANGED = gettext_noop(
    "The cluster keeps the service of %(name)s with other settings than it was given: %(paths)s. It was removed."
)


def refuse_other_image(cluster: Cluster, spec: ReplicaSpec) -> None:
    """Only the image of the spec's digest, as the registry has it now.

    A manager asks the registry before anything is made: on a node every refusal would only be "no such image".
    """
    pulling.refuse_other_image(spec)
    try:
        cluster.see_image(spec)
    except Refused as error:
        raise pulling.explain(cluster.manager, spec, error.reason) from error


def refuse_old_managers(cluster: Cluster, spec: ReplicaSpec) -> None:
    """GPUs only where the cluster lets those keep them who have them."""
    if not spec.gpus:
        return
    version = str(cluster.manager.get("/version")["Version"])
    if int(version.partition(".")[0]) < KEEPS_GPUS:
        params = {"version": version, "wanted": KEEPS_GPUS}
        raise ToolError(Message(_OLD, params), kind="engine_too_old", permanent=True)


def put(cluster: Cluster, spec: ReplicaSpec, constraints: Sequence[str], current: Json | None) -> bool:
    """Create the replica's service, or start ``current`` again in place; whether it was kept off any node.

    It keeps off the nodes that have more of its siblings than the emptiest has.
    """
    secret = belongings.make_secret(cluster, spec)
    nodes = placement.candidates(cluster.nodes(), constraints)
    avoided = placement.avoided(nodes, _siblings(cluster, spec))
    _write(cluster, spec, secret, [*constraints, *avoided], current)
    belongings.remove_old_secrets(cluster, spec.name, kept=secret["SecretID"])
    return bool(avoided)


def watch(cluster: Cluster, spec: ReplicaSpec, constraints: Sequence[str], *, is_kept_off: bool) -> Seen | None:
    """The replica once it runs or has ended, or as it is when the time is over; None where it was removed meanwhile.

    ToolError ``no_node`` where Swarm finds no place for it.
    """
    deadline = time.monotonic() + START_SECONDS
    placed_by = time.monotonic() + PLACE_SECONDS
    while True:
        seen = find(cluster, spec.name)
        if seen is None or seen.status.state != "starting" or time.monotonic() > deadline:
            return seen
        refusal = _refusal(seen)
        if not refusal:
            placed_by = time.monotonic() + PLACE_SECONDS
        elif is_kept_off:  # rather beside a sibling than nowhere
            _put_anywhere(cluster, spec, constraints, seen.service)
            is_kept_off, placed_by = False, time.monotonic() + PLACE_SECONDS
        elif time.monotonic() > placed_by:
            cluster.remove(f"/services/{seen.service['ID']}")
            belongings.remove(cluster, spec.name)
            raise ToolError(Message(_NO_NODE, {"reason": refusal}), kind="no_node", log=refusal)
        time.sleep(LOOK_SECONDS)


def _put_anywhere(cluster: Cluster, spec: ReplicaSpec, constraints: Sequence[str], current: Json) -> None:
    used = current["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]
    _write(cluster, spec, {name: used[name] for name in ("SecretID", "SecretName")}, constraints, current)


def _write(cluster: Cluster, spec: ReplicaSpec, secret: Json, constraints: Sequence[str], current: Json | None) -> None:
    """Write the service and read it back: what the cluster keeps has to be what was asked for."""
    version = current["Spec"]["TaskTemplate"].get("ForceUpdate", 0) + 1 if current else 0
    body = services.describe(spec, secret, belongings.make_network(cluster, spec), constraints, version)
    cluster.put_service(spec, body, current)
    for kept in cluster.services(f"{REPLICA}={spec.name}"):
        changed = list(policy.differ(body, kept["Spec"], "Service"))
        if changed:
            cluster.remove(f"/services/{kept['ID']}")
            params = {"name": spec.name, "paths": ", ".join(changed)[:500]}
            raise ToolError(Message(_CHANGED, params), kind="policy_changed", permanent=True)


def _siblings(cluster: Cluster, spec: ReplicaSpec) -> list[Json]:
    labels = [f"slipway.{name}={spec.labels.get(name, '')}" for name in ("instance", "deployment")]
    return cluster.tasks(*labels, only_running=True)


def _refusal(seen: Seen) -> str:
    """Why Swarm has not given the task to any node, where it says so."""
    if seen.task is None or seen.task["Status"]["State"] != "pending":
        return ""
    return str(seen.task["Status"].get("Err", ""))
