"""On which nodes a replica may run, and which it should leave to others.

Swarm spreads the tasks of one service. Our replicas are services of one task each, so their spread is asked for here:
a replica avoids the nodes that have more of its siblings than the emptiest node has. The wish yields to need: where
Swarm finds no node then, it is asked again without it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def is_open(node: Json) -> bool:
    """Whether a node takes new work."""
    return bool(node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active")


def candidates(nodes: Iterable[Json], constraints: Sequence[str]) -> list[Json]:
    """The nodes that take new work and that the target's constraints allow."""
    return [node for node in nodes if is_open(node) and all(_allows(each, node) for each in constraints)]


def avoided(nodes: Sequence[Json], siblings: Sequence[Json]) -> list[str]:
    """Constraints against the candidates with more siblings (tasks) than the emptiest of them has."""
    counted = Counter(task.get("NodeID", "") for task in siblings)
    fewest = min((counted[node["ID"]] for node in nodes), default=0)
    return [f"node.id!={node['ID']}" for node in nodes if counted[node["ID"]] > fewest]


def _allows(constraint: str, node: Json) -> bool:
    """One of Swarm's own expressions, ``key==value`` or ``key!=value``; what is no such thing is left to Swarm."""
    for sign in ("==", "!="):
        key, found, value = constraint.partition(sign)
        if found:
            return (_fact(node, key.strip()).lower() == value.strip().lower()) is (sign == "==")
    return True


def _fact(node: Json, key: str) -> str:
    about, engine = node["Description"], node["Description"].get("Engine", {})
    if key.startswith("node.labels."):
        return _label(node["Spec"].get("Labels"), key.removeprefix("node.labels."))
    if key.startswith("engine.labels."):
        return _label(engine.get("Labels"), key.removeprefix("engine.labels."))
    facts = {
        "node.id": node["ID"],
        "node.hostname": about.get("Hostname", ""),
        "node.role": node["Spec"].get("Role", ""),
        "node.platform.os": about.get("Platform", {}).get("OS", ""),
        "node.platform.arch": about.get("Platform", {}).get("Architecture", ""),
    }
    return str(facts.get(key, ""))


def _label(labels: Mapping[str, str] | None, name: str) -> str:
    return (labels or {}).get(name, "")
