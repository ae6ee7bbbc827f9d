"""Reads the outline of an ONNX file: a walk over its protobuf fields that allocates nothing the file asks for.

Field numbers: ``onnx/onnx.proto``. The whole file is checked by onnx itself later, inside the sandbox.
"""

import re
from dataclasses import dataclass, field

from worker.inspection.protobuf import Buffer, NotProtobuf, Truncated, Walk
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

__all__ = ["NotProtobuf", "Outline", "Truncated", "outline", "refuse_unsafe"]

DEPTH = 16  # of graphs inside attributes inside graphs

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})  # what onnxruntime carries itself
READS_FILES = frozenset({("com.microsoft", "EPContext")})  # loads a compiled model from a path in its attributes

_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})

# In an attribute, numbers and short words come one by one: a forest has millions. Possessive: nothing is remembered.
_RUN = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a\x0aBRANCH_LEQ|\x4a\x04LEAF)++", re.DOTALL)


@dataclass
class Outline:
    """What an ONNX file says of itself."""

    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)  # domain, type
    functions: set[tuple[str, str]] = field(default_factory=set)  # defined in the file itself
    nodes: int = 0
    external: set[str] = field(default_factory=set)  # tensors whose data lies outside the file
    locations: set[str] = field(default_factory=set)  # where they say it lies
    has_graph: bool = False


def outline(data: Buffer) -> Outline:
    """The outline of a model; Truncated or NotProtobuf where the bytes are not one message to their end."""
    walk, found = Walk(data, _RUN), Outline()
    for number, value, start, end in walk.fields(0, len(data)):
        if number not in _MODEL_FIELDS:
            raise NotProtobuf
        if number == 1:
            found.ir_version = value
        elif number == 2:
            found.producer = walk.text(start, end)
        elif number == 3:
            found.producer_version = walk.text(start, end)
        elif number == 7:
            found.has_graph = True
            _read_graph(walk, start, end, found, 0)
        elif number == 8:
            domain, version = _read_opset(walk, start, end)
            found.opsets[domain] = version
        elif number == 25:
            _read_function(walk, start, end, found)
    return found


def _read_opset(walk: Walk, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for number, value, first, last in walk.fields(start, end):
        if number == 1:
            domain = walk.text(first, last)
        elif number == 2:
            version = value
    return domain, version


def _read_graph(walk: Walk, start: int, end: int, found: Outline, depth: int) -> None:
    if depth > DEPTH:
        raise NotProtobuf
    for number, _, first, last in walk.fields(start, end):
        if number == 1:
            _read_node(walk, first, last, found, depth)
        elif number == 5:
            _read_tensor(walk, first, last, found)
        elif number == 15:
            _read_sparse(walk, first, last, found)


def _read_node(walk: Walk, start: int, end: int, found: Outline, depth: int) -> None:
    kind = domain = ""
    found.nodes += 1
    for number, _, first, last in walk.fields(start, end):
        if number == 4:
            kind = walk.text(first, last)
        elif number == 7:
            domain = walk.text(first, last)
        elif number == 5:
            _read_attribute(walk, first, last, found, depth)
    found.operators.add((domain, kind))


def _read_attribute(walk: Walk, start: int, end: int, found: Outline, depth: int) -> None:
    for number, _, first, last in walk.fields(start, end, has_runs=True):
        if number in (5, 10) and last > first:
            _read_tensor(walk, first, last, found)
        elif number in (6, 11):
            _read_graph(walk, first, last, found, depth + 1)
        elif number in (22, 23):
            _read_sparse(walk, first, last, found)


def _read_sparse(walk: Walk, start: int, end: int, found: Outline) -> None:
    for number, _, first, last in walk.fields(start, end):
        if number in (1, 2):
            _read_tensor(walk, first, last, found)


def _read_tensor(walk: Walk, start: int, end: int, found: Outline) -> None:
    name, is_external = "", False
    for number, value, first, last in walk.fields(start, end):
        if number == 8:
            name = walk.text(first, last)
        elif number == 13 or (number == 14 and value):
            is_external = True
            if number == 13 and (entry := read_entry(walk, first, last))[0] == "location":
                found.locations.add(entry[1])
    if is_external:
        found.external.add(name)


def read_entry(walk: Walk, start: int, end: int) -> tuple[str, str]:
    """Key and value of an entry that says where a tensor's data lies."""
    texts = {number: walk.text(first, last) for number, _, first, last in walk.fields(start, end)}
    return texts.get(1, ""), texts.get(2, "")


def _read_function(walk: Walk, start: int, end: int, found: Outline) -> None:
    name = domain = ""
    for number, _, first, last in walk.fields(start, end):
        if number == 1:
            name = walk.text(first, last)
        elif number == 10:
            domain = walk.text(first, last)
        elif number == 7:
            _read_node(walk, first, last, found, 0)
    found.functions.add((domain, name))


def refuse_unsafe(found: Outline) -> None:
    """Refuse data outside the file and operators that onnxruntime does not carry."""
    if found.external:
        raise Refusal(
            Message(
                gettext_noop("The weights lie outside the file: %(count)d tensors refer to another file."),
                {"count": len(found.external)},
            ),
            Message(gettext_noop("Save the model as one file: onnx.save(model, path, save_as_external_data=False).")),
        )
    foreign = {op for op in found.operators - found.functions if op[0] not in STANDARD_DOMAINS} | (
        found.operators & READS_FILES
    )
    if foreign:
        domain, kind = min(foreign)
        raise Refusal(
            Message(
                gettext_noop("The model uses the operator %(operator)s, which is no standard one."),
                {"operator": f"{domain}:{kind}"[:200]},
            ),
            Message(gettext_noop("Export it with the operators of ONNX (domains ai.onnx and ai.onnx.ml) only.")),
            {"operators": sorted(f"{domain}:{kind}" for domain, kind in foreign)[:20]},
        )
