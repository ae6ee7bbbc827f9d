"""What a look at a cluster found, line by line."""

import time
from collections.abc import Sequence
from typing import Any

from worker.drivers.swarm import placement, reading
from worker.drivers.swarm.cluster import Cluster
from worker.drivers.swarm.engines import Engines
from worker.specs import CheckLine, Message, gettext_noop

Json = dict[str, Any]

_REACHED = gettext_noop("%(name)s answers in %(ms)d ms, Docker %(version)s")
_NODES = gettext_noop("%(ready)d of %(all)d nodes answer, %(managers)d of them managers")
_DOWN = gettext_noop("%(ready)d of %(all)d nodes answer; these do not: %(down)s. What ran there is started elsewhere.")
_PLACES = gettext_noop("%(open)d nodes take replicas: %(names)s")
_NO_PLACE = gettext_noop(
    "No node takes replicas: those that answer are drained, or the constraints %(constraints)s allow none of them."
    " Set a node active, or change the constraints."
)
_GPUS = gettext_noop("%(count)d, given out by Swarm as generic resource “gpu”")
_NO_GPUS = gettext_noop("none that a node's engine offers (node-generic-resources in its daemon.json)")
_USE_SHOWN = gettext_noop("%(count)d nodes' engines tell what replicas use")
_USE_HIDDEN = gettext_noop(
    "What replicas use is not shown: these nodes' engines do not answer on port %(port)d: %(names)s. Let them listen"
    " there with the managers' certificates, or take the port out of the target."
)
_USE_UNKNOWN = gettext_noop("What replicas use is not shown: the target names no port of the nodes' engines")


def check(cluster: Cluster, engines: Engines, constraints: Sequence[str]) -> list[CheckLine]:
    """Changes nothing; ToolError ``unreachable`` where no manager answers."""
    manager = cluster.manager
    begun = time.monotonic()
    info = manager.get("/info")
    seconds = time.monotonic() - begun
    nodes = sorted(cluster.nodes(), key=reading.hostname)
    reached = {"name": info.get("Name", "?"), "ms": round(seconds * 1000), "version": info.get("ServerVersion", "?")}
    return [
        CheckLine(gettext_noop("reach"), True, Message(_REACHED, reached)),
        _nodes_line(nodes),
        _places_line(nodes, constraints),
        _gpus_line(nodes),
        _use_line([node for node in nodes if reading.is_up(node)], engines),
    ]


def _nodes_line(nodes: Sequence[Json]) -> CheckLine:
    down = [reading.hostname(node) for node in nodes if not reading.is_up(node)]
    counted = {"ready": len(nodes) - len(down), "all": len(nodes)}
    if down:
        return CheckLine(gettext_noop("nodes"), False, Message(_DOWN, {**counted, "down": ", ".join(down)}))
    managers = sum(node["Spec"].get("Role") == "manager" for node in nodes)
    return CheckLine(gettext_noop("nodes"), True, Message(_NODES, {**counted, "managers": managers}))


def _places_line(nodes: Sequence[Json], constraints: Sequence[str]) -> CheckLine:
    names = [reading.hostname(node) for node in placement.candidates(nodes, constraints)]
    if not names:
        detail = Message(_NO_PLACE, {"constraints": ", ".join(constraints) or "-"})
        return CheckLine(gettext_noop("placement"), False, detail)
    return CheckLine(gettext_noop("placement"), True, Message(_PLACES, {"open": len(names), "names": ", ".join(names)}))


def _gpus_line(nodes: Sequence[Json]) -> CheckLine:
    count = sum(len(reading.gpus(node)) for node in nodes)
    return CheckLine(gettext_noop("gpus"), True, Message(_GPUS, {"count": count}) if count else Message(_NO_GPUS))


def _use_line(nodes: Sequence[Json], engines: Engines) -> CheckLine:
    if not engines.port:
        return CheckLine(gettext_noop("resources"), True, Message(_USE_UNKNOWN))
    silent = [reading.hostname(node) for node in nodes if not engines.answers(node)]
    if silent:
        detail = Message(_USE_HIDDEN, {"port": engines.port, "names": ", ".join(silent)})
        return CheckLine(gettext_noop("resources"), False, detail)
    return CheckLine(gettext_noop("resources"), True, Message(_USE_SHOWN, {"count": len(nodes)}))
