"""Putting a replica on the cluster, and watching it until it runs or has ended."""

import time
from collections.abc import Sequence
from typing import Any

from worker.drivers.docker_host import policy, pulling
from worker.drivers.docker_host.engine import Refused
from worker.drivers.swarm import belongings, placement, services
from worker.drivers.swarm.cluster import Cluster
from worker.drivers.swarm.seeing import Seen, find
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
    """Only the image of the spec's digest; a manager asks the registry for it before anything is made.

    A registry that does not answer is no reason to refuse: a node may have the image.
    """
    pulling.refuse_other_image(spec)
    try:
        cluster.see_image(spec)
    except Refused as error:
        refusal = pulling.explain(cluster.manager, spec, error.reason)
        if refusal.kind != "registry_away":
            raise refusal from error


def lack_of_image(seen: Seen | None) -> str:
    """What the node said that could not get the image, where that is why it did not start."""
    trouble = str(seen.task["Status"].get("Err", "")) if seen and seen.task else ""
    return trouble if "no such image" in trouble.lower() else ""


def refuse_old_managers(cluster: Cluster, spec: ReplicaSpec) -> None:
    """GPUs only where the cluster lets those keep them who have them."""
    if not spec.gpus:
        return
    version = str(cluster.manager.get("/version")["Version"])
    if int(version.partition(".")[0]) < KEEPS_GPUS:
        params = {"version": version, "wanted": KEEPS_GPUS}
        raise ToolError(Message(_OLD, params), kind="engine_too_old", permanent=True)


class Start:
    """One start of a replica: its service is written, watched, and removed again where it finds no place."""

    def __init__(self, cluster: Cluster, spec: ReplicaSpec, constraints: Sequence[str], title: str) -> None:
        self.cluster, self.spec, self.constraints, self.title = cluster, spec, tuple(constraints), title
        self.is_kept_off = False

    def put(self, current: Json | None) -> None:
        """Create the service, or start ``current`` again in place.

        It keeps off the nodes that have more of its siblings than the emptiest has.
        """
        secret = belongings.make_secret(self.cluster, self.spec)
        nodes = placement.candidates(self.cluster.nodes(), self.constraints)
        avoided = placement.avoided(nodes, self._siblings())
        self._write(secret, [*self.constraints, *avoided], current)
        self.is_kept_off = bool(avoided)
        belongings.remove_other_secrets(self.cluster, self.spec.name, kept=secret["SecretID"])

    def watch(self) -> Seen | None:
        """The replica once it runs or has ended, or as it is when the time is over; None where somebody removed it.

        ToolError ``no_node`` where Swarm finds no place for it.
        """
        deadline = time.monotonic() + START_SECONDS
        placed_by = time.monotonic() + PLACE_SECONDS
        while True:
            seen = find(self.cluster, self.spec.name, self.title)
            if seen is None or seen.status.state != "starting" or time.monotonic() > deadline:
                return seen
            refusal = _refusal(seen)
            if not refusal:
                placed_by = time.monotonic() + PLACE_SECONDS
            elif self.is_kept_off:
                self._put_anywhere(seen.service)
                placed_by = time.monotonic() + PLACE_SECONDS
            elif time.monotonic() > placed_by:
                self._give_up(seen, refusal)
            time.sleep(LOOK_SECONDS)

    def _put_anywhere(self, current: Json) -> None:
        """Rather beside a sibling than nowhere."""
        self.is_kept_off = False
        used = current["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]
        self._write({name: used[name] for name in ("SecretID", "SecretName")}, self.constraints, current)

    def _write(self, secret: Json, constraints: Sequence[str], current: Json | None) -> None:
        """Write the service and read it back: what the cluster keeps has to be what was asked for."""
        version = current["Spec"]["TaskTemplate"].get("ForceUpdate", 0) + 1 if current else 0
        network = belongings.make_network(self.cluster, self.spec)
        body = {**services.describe(self.spec, secret, network, constraints, version), "Name": self.title}
        self.cluster.put_service(self.spec, body, current)
        kept = find(self.cluster, self.spec.name, self.title)
        changed = list(policy.differ(body, kept.service["Spec"], "Service")) if kept else []
        if kept and changed:
            self.cluster.remove(f"/services/{kept.service['ID']}")
            params = {"name": self.spec.name, "paths": ", ".join(changed)[:500]}
            raise ToolError(Message(_CHANGED, params), kind="policy_changed", permanent=True)

    def _siblings(self) -> list[Json]:
        labels = [f"slipway.{name}={self.spec.labels.get(name, '')}" for name in ("instance", "deployment")]
        return self.cluster.tasks(*labels, only_running=True)

    def _give_up(self, seen: Seen, refusal: str) -> None:
        self.cluster.remove(f"/services/{seen.service['ID']}")
        belongings.remove(self.cluster, self.spec.name)
        raise ToolError(Message(_NO_NODE, {"reason": refusal}), kind="no_node", log=refusal)


def _refusal(seen: Seen) -> str:
    """Why Swarm has not given the task to any node, where it says so."""
    if seen.task is None or seen.task["Status"]["State"] != "pending":
        return ""
    return str(seen.task["Status"].get("Err", ""))
