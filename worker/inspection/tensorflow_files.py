"""Reads a TensorFlow SavedModel without TensorFlow: its graphs are walked as protobuf, and every operator is known.

Field numbers: ``tensorflow/core/protobuf/{saved_model,meta_graph}.proto`` and
``tensorflow/core/framework/{graph,function,node_def}.proto``.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from worker.inspection.candidates import Candidate
from worker.inspection.protobuf import Buffer, NotProtobuf, Truncated, Walk
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

GRAPH = "saved_model.pb"
FIELDS = 1_000_000  # some hundred thousand nodes

_LIST = Path(__file__).with_name("tensorflow_operators.txt")
_VARIABLES = re.compile(r"variables/variables\.(?:index|data-[0-9]{5}-of-[0-9]{5})")
_NAME = re.compile(r"[\w.>-]{1,100}", re.ASCII)

# What every SavedModel has in the two functions that save and restore its variables, and what nothing else may have.
_CHECKPOINTS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"})
_SAVERS = ("__inference__traced_save", "__inference__traced_restore")


@dataclass
class Findings:
    """What a SavedModel says of itself."""

    operators: set[str] = field(default_factory=set)
    nodes: int = 0
    version: str = ""  # of TensorFlow, as the file carries it


@cache
def operators() -> frozenset[str]:
    """Every operator that may occur."""
    lines = _LIST.read_text("utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def read(data: Buffer) -> Findings:
    """What the graphs of a SavedModel hold; refuses operators that are not on the list."""
    walk, found = Walk(data), Findings()
    walk.left = FIELDS
    graphs = 0
    try:
        for number, _, start, end in walk.fields(0, len(data)):
            if number == 2:
                graphs += 1
                _read_meta_graph(walk, start, end, found)
            elif number != 1:
                raise NotProtobuf
    except (NotProtobuf, Truncated) as error:
        raise _broken() from error
    if graphs != 1 or not found.nodes:
        raise _broken()
    return found


def _read_meta_graph(walk: Walk, start: int, end: int, found: Findings) -> None:
    for number, _, first, last in walk.fields(start, end):
        if number == 1:
            found.version = next((walk.text(*place) for n, _, *place in walk.fields(first, last) if n == 5), "")
        elif number == 2:
            for inner, _, begin, stop in walk.fields(first, last):
                if inner == 1:
                    _read_node(walk, begin, stop, found, "")
                elif inner == 2:
                    _read_library(walk, begin, stop, found)


def _read_library(walk: Walk, start: int, end: int, found: Findings) -> None:
    for number, _, first, last in walk.fields(start, end):
        if number == 1:
            name = ""
            for inner, _, begin, stop in walk.fields(first, last):
                if inner == 1:
                    name = next((walk.text(*place) for n, _, *place in walk.fields(begin, stop) if n == 1), "")
                elif inner == 3:
                    _read_node(walk, begin, stop, found, name)


def _read_node(walk: Walk, start: int, end: int, found: Findings, function: str) -> None:
    found.nodes += 1
    kinds = [walk.text(first, last) for number, _, first, last in walk.fields(start, end) if number == 2]
    for kind in kinds:
        if kind not in operators() or (kind in _CHECKPOINTS and not function.startswith(_SAVERS)):
            raise _unlisted(kind)
        found.operators.add(kind)


def assemble(model: Candidate, found: Sequence[Candidate], folder: Path) -> tuple[Candidate, tuple[str, ...]]:
    """The model as TensorFlow wants it, in a folder of its own: the graph and its variables, and nothing else.

    Gives the graph's new place and the names of the files that were taken along.
    """
    (folder / "variables").mkdir(mode=0o700, parents=True)
    taken = list(_variables(model, found))
    for candidate, name in [(model, GRAPH), *taken]:
        _put(candidate.path, folder / name)
    path = folder / GRAPH
    return Candidate(path, model.name, model.size, model.kind, model.layers), tuple(sorted(c.name for c, _ in taken))


def _variables(model: Candidate, found: Sequence[Candidate]) -> Iterator[tuple[Candidate, str]]:
    for candidate in found:
        name = candidate.name.removeprefix(model.folder)
        if candidate.name.startswith(model.folder) and _VARIABLES.fullmatch(name):
            yield candidate, name


def _put(source: Path, target: Path) -> None:
    """A hard link costs nothing; uploads are read-only for good."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def belongs(model: Candidate, candidate: Candidate) -> bool:
    """Whether a file is part of the folder of a SavedModel."""
    name = candidate.name.removeprefix(model.folder)
    return candidate.name.startswith(model.folder) and bool(
        _VARIABLES.fullmatch(name)
        or name in ("fingerprint.pb", "keras_metadata.pb")
        or name.startswith(("assets/", "assets.extra/"))
    )


def _unlisted(kind: str) -> Refusal:
    name = kind if _NAME.fullmatch(kind) else "?"
    return Refusal(
        Message(
            gettext_noop(
                "The model has the operator %(name)s, which is not on the list of operators that compute only."
            ),
            {"name": name},
        ),
        Message(gettext_noop("Leave this operator out of the signature, or convert the model with tf2onnx yourself.")),
        {"name": name},
    )


def _broken() -> Refusal:
    return Refusal(
        Message(gettext_noop("The SavedModel cannot be read: it is damaged, or has none or several graphs.")),
        Message(gettext_noop("Save it again with tf.saved_model.save or model.export, and upload the whole folder.")),
    )
