"""Reads the outline of an ONNX file: a walk over its protobuf fields that allocates nothing the file asks for.

Field numbers: ``onnx/onnx.proto``. The whole file is checked by onnx itself later, inside the sandbox.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

Buffer = Any  # bytes or mmap

FIELDS = 5_000_000
DEPTH = 16  # of graphs inside attributes inside graphs

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})  # what onnxruntime carries itself
READS_FILES = frozenset({("com.microsoft", "EPContext")})  # loads a compiled model from a path in its attributes

_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})

# In an attribute, numbers and short words come one by one: a forest has millions. Possessive: nothing is remembered.
_RUN = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a\x0aBRANCH_LEQ|\x4a\x04LEAF)++", re.DOTALL)


class Truncated(Exception):
    """The file ends inside a field."""


class NotProtobuf(Exception):
    """These bytes are no protobuf message."""


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
    has_graph: bool = False


class _Walk:
    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.left = FIELDS

    def varint(self, pos: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while pos < end:
            byte = self.data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, pos
            shift += 7
            if shift > 63:
                raise NotProtobuf
        raise Truncated

    def fields(self, start: int, end: int, *, has_runs: bool = False) -> Iterator[tuple[int, int, int, int]]:
        """Number, plain value, and start and end of the content of each field; ``has_runs`` skips numbers."""
        pos = start
        while pos < end:
            if has_runs and (run := _RUN.match(self.data, pos, end)):
                pos = run.end()
                continue
            self.left -= 1
            if self.left < 0:
                raise NotProtobuf
            tag, pos = self.varint(pos, end)
            number, wire = tag >> 3, tag & 7
            value, width = 0, {1: 8, 5: 4}.get(wire, 0)
            if wire == 0:
                value, pos = self.varint(pos, end)
            elif wire == 2:
                width, pos = self.varint(pos, end)
            elif not width:
                raise NotProtobuf
            if number == 0:
                raise NotProtobuf
            if pos + width > end:
                raise Truncated
            yield number, value, pos, pos + width
            pos += width

    def text(self, start: int, end: int) -> str:
        piece: bytes = self.data[start : min(end, start + 256)]
        return piece.decode("utf-8", "replace")


def outline(data: Buffer) -> Outline:
    """The outline of a model; Truncated or NotProtobuf where the bytes are not one message to their end."""
    walk, found = _Walk(data), Outline()
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


def _read_opset(walk: _Walk, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for number, value, first, last in walk.fields(start, end):
        if number == 1:
            domain = walk.text(first, last)
        elif number == 2:
            version = value
    return domain, version


def _read_graph(walk: _Walk, start: int, end: int, found: Outline, depth: int) -> None:
    if depth > DEPTH:
        raise NotProtobuf
    for number, _, first, last in walk.fields(start, end):
        if number == 1:
            _read_node(walk, first, last, found, depth)
        elif number == 5:
            _read_tensor(walk, first, last, found)
        elif number == 15:
            _read_sparse(walk, first, last, found)


def _read_node(walk: _Walk, start: int, end: int, found: Outline, depth: int) -> None:
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


def _read_attribute(walk: _Walk, start: int, end: int, found: Outline, depth: int) -> None:
    for number, _, first, last in walk.fields(start, end, has_runs=True):
        if number in (5, 10) and last > first:
            _read_tensor(walk, first, last, found)
        elif number in (6, 11):
            _read_graph(walk, first, last, found, depth + 1)
        elif number in (22, 23):
            _read_sparse(walk, first, last, found)


def _read_sparse(walk: _Walk, start: int, end: int, found: Outline) -> None:
    for number, _, first, last in walk.fields(start, end):
        if number in (1, 2):
            _read_tensor(walk, first, last, found)


def _read_tensor(walk: _Walk, start: int, end: int, found: Outline) -> None:
    name, is_external = "", False
    for number, value, first, last in walk.fields(start, end):
        if number == 8:
            name = walk.text(first, last)
        elif number == 13 or (number == 14 and value):
            is_external = True
    if is_external:
        found.external.add(name)


def _read_function(walk: _Walk, start: int, end: int, found: Outline) -> None:
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
