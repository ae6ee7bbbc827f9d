"""Takes the booster out of LightGBM's scikit-learn wrapper in a skops file: it lies in there as LightGBM's own text.

MLflow saves LGBMClassifier and its like so. The wrapper adds nothing to the answers but the names of the classes, so
the text alone is examined and served; nothing of the wrapper is opened.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inspection import archives, skops_files
from worker.inspection.candidates import Candidate, view
from worker.inspection.protobuf import Buffer
from worker.inspection.refusals import Refusal

CLASSES_BYTES = 1 << 20

_WRAPPER = re.compile(r"LGBM[A-Za-z]{1,30}")
_ARRAY = re.compile(
    r"\{'descr': '(?:<(?P<number>[iu])(?P<width>[1248])|<(?P<text>U)(?P<length>\d{1,5}))',"
    r" 'fortran_order': False, 'shape': \((?P<count>\d{1,6}),\), \} *\n"
)


@dataclass(frozen=True)
class Booster:
    """The booster as a file of its own, and the names of its classes as far as they can be read."""

    model: Candidate
    classes: tuple[str, ...]
    wrapper: str


def take_out(skops: Candidate, target: Path) -> Booster | None:
    """The booster in a skops file, written to ``target``; None where the file holds something else."""
    with view(skops.path) as data:
        tree = _read(data)
        name = tree.get("__class__")
        if tree.get("__module__") != "lightgbm.sklearn" or not isinstance(name, str) or not _WRAPPER.fullmatch(name):
            return None
        text = _text(_inside(tree, "_Booster", "_handle"))
        if not text.startswith("tree\n"):
            return None
        classes = _classes(data, _inside(tree, "_classes"))
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o440)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    model = Candidate(target, skops.name, target.stat().st_size, "lightgbm", skops.layers)
    return Booster(model, classes, f"lightgbm.sklearn.{name}")


def _read(data: Buffer) -> dict[str, Any]:
    """The schema, or nothing where it cannot be read: the skops examiner says why."""
    try:
        entry = next(e for e in archives.read_zip(data, skops_files.ENTRIES) if e.name == skops_files.SCHEMA)
        return skops_files.read_schema(data, entry)
    except (Refusal, StopIteration):
        return {}


def _inside(node: Any, *names: str) -> Any:
    """The attribute of an attribute: objects keep theirs in a dictionary node."""
    for name in names:
        for key in ("content", "content", name):
            node = node.get(key) if isinstance(node, dict) else None
    return node


def _text(node: Any) -> str:
    try:
        found = json.loads(node["content"])
    except (TypeError, KeyError, ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _classes(data: Buffer, node: Any) -> tuple[str, ...]:
    """The names of the classes out of their array; none where it is of another kind, as regressors have none."""
    name = node.get("file") if isinstance(node, dict) else None
    try:
        entry = next(e for e in archives.read_zip(data, skops_files.ENTRIES) if e.name == name)
        return _array(archives.read(data, entry, CLASSES_BYTES))
    except (Refusal, StopIteration, ValueError):
        return ()


def _array(content: bytes) -> tuple[str, ...]:
    """One row of whole numbers or words, as numpy writes it (format version 1)."""
    start = 10 + int.from_bytes(content[8:10], "little")
    found = _ARRAY.fullmatch(content[10:start].decode("latin-1")) if content[:7] == b"\x93NUMPY\x01" else None
    if found is None:
        return ()
    width = int(found["width"] or 0) or 4 * int(found["length"])
    items = [content[start + width * index : start + width * (index + 1)] for index in range(int(found["count"]))]
    if found["text"]:
        return tuple(item.decode("utf-32-le").rstrip("\0") for item in items)
    return tuple(str(int.from_bytes(item, "little", signed=found["number"] == "i")) for item in items)
