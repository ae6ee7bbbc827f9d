"""Judges the description of a Keras model: JSON that names classes, each of which must be on an exact list.

Read by the control plane for ``.keras`` files, and inside the sandbox, before Keras, for those of HDF5.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LARGEST = 4 << 20
NODES = 2_000_000

_LIST = Path(__file__).with_name("keras_classes.txt")
_TENSOR = "__keras_tensor__"  # a place in the graph, not an object


class Unlisted(Exception):
    """The description names a class that is not on the list."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Unreadable(Exception):
    """The description is no JSON of the kind that Keras writes."""


@cache
def classes() -> Mapping[str, frozenset[str]]:
    """The classes that may be named, by module; under ``""`` those that older files name without one."""
    found: dict[str, set[str]] = {}
    module = ""
    for line in _LIST.read_text("utf-8").splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        elif not line.startswith("#"):
            found.setdefault(module, set()).update(line.split())
    public = (names for module, names in found.items() if ".src." not in module)
    found[""] = set().union(*public)
    return {module: frozenset(names) for module, names in found.items()}


def check(text: bytes | str) -> set[str]:
    """The classes that a description names; Unlisted for the first that may not be, Unreadable for no description."""
    if len(text) > LARGEST:
        raise Unreadable
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise Unreadable
    config.pop("compile_config", None)  # how it was trained: never read, since it is loaded without
    return {_checked(node) for node in _objects(config)}


def _objects(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting: list[Any] = [config]
    left = NODES
    while waiting:
        item = waiting.pop()
        left -= 1
        if left < 0:
            raise Unreadable
        if isinstance(item, dict):
            if not item.keys().isdisjoint(("class_name", "module", "registered_name")):
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _checked(node: dict[str, Any]) -> str:
    name, module, registered = node.get("class_name"), node.get("module"), node.get("registered_name")
    if name == _TENSOR and not module and not registered:
        return _TENSOR
    shown = ".".join(str(part) for part in (module, registered or name) if part)[:200]
    if not isinstance(name, str) or not isinstance(module, str | None) or registered not in (None, name):
        raise Unlisted(shown)
    if name not in classes().get(module or "", ()):
        raise Unlisted(shown)
    return name
