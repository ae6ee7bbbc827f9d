"""Brings the weights that an ONNX file keeps in other files back into it, so that one file is examined and served.

The file is rewritten field by field, without onnx and with flat memory: what refers to another file is replaced by the
bytes it refers to. A location is never used as a path: it is the name of a file of the same upload, or refused.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from worker.inspection.archives import CHUNK
from worker.inspection.onnx_files import DEPTH, read_entry
from worker.inspection.protobuf import Buffer, NotProtobuf, Walk, header
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

LARGEST = (1 << 31) - 1  # bytes of one protobuf message, and so of one ONNX file

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,128}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_DIMENSIONS = 64

# What is inside what, by field number: onnx/onnx.proto.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 6: "graph", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_BITS = {
    **dict.fromkeys((1, 6, 12), 32), **dict.fromkeys((4, 5, 10, 16), 16), **dict.fromkeys((7, 11, 13, 14), 64), 15: 128,
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8), **dict.fromkeys((21, 22, 23), 4), **dict.fromkeys((25, 26), 2),
}  # fmt: skip  # of one element, by TensorProto.DataType; text (8) cannot lie outside


class Blob(NamedTuple):
    """A file of the upload that holds weights."""

    path: Path
    size: int


class Stretch(NamedTuple):
    """Bytes to be copied: of another file, or of the model itself."""

    source: Path | None
    start: int
    end: int


Piece = bytes | Stretch


def check_location(location: str) -> str:
    """The location, if it is the plain name of a file beside the model."""
    if _PLAIN.fullmatch(location) and location.strip("."):
        return location
    raise Refusal(
        Message(
            gettext_noop("Its weights lie outside the file, in “%(name)s”, which is not a plain file name."),
            {"name": location[:100]},
        ),
        Message(
            gettext_noop(
                "Save it again with its weights in one file beside it: onnx.save(model, path, "
                "save_as_external_data=True, location='weights.data'), and upload both."
            )
        ),
    )


def inline(data: Buffer, blobs: Mapping[str, Blob], target: Path) -> int:
    """Write the model with all its weights inside to ``target``; gives its size in bytes.

    ``blobs`` are the files of the upload by the names that the model may use. Refuses a reference that does not lie
    inside its file or has not as many bytes as its tensor, and what becomes larger than one ONNX file can be.
    """
    pieces = _Rewriter(Walk(data), blobs).message("model", 0, len(data)) or [Stretch(None, 0, len(data))]
    size = _size(pieces)
    if size > LARGEST:
        raise _too_large(size)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o440)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
            elif piece.source is None:
                _copy(data, piece, file)
            else:
                _bring(piece.source, piece, file)
    return size


def _copy(source: Buffer, piece: Stretch, target: BinaryIO) -> None:
    for start in range(piece.start, piece.end, CHUNK):
        target.write(source[start : min(start + CHUNK, piece.end)])


def _bring(path: Path, piece: Stretch, target: BinaryIO) -> None:
    """Read rather than mapped, so that gigabytes of weights never count as memory of this process."""
    with open(path, "rb", buffering=0) as source:
        source.seek(piece.start)
        for start in range(piece.start, piece.end, CHUNK):
            target.write(source.read(min(CHUNK, piece.end - start)))


def _size(pieces: list[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.end - piece.start for piece in pieces)


@dataclass
class _Rewriter:
    walk: Walk
    blobs: Mapping[str, Blob]

    def message(self, kind: str, start: int, end: int, depth: int = 0) -> list[Piece] | None:
        """The pieces of a message, or None where nothing in it changes."""
        if kind == "tensor":
            return self.tensor(start, end)
        if depth > 3 * DEPTH:
            raise NotProtobuf
        pieces: list[Piece] = []
        kept = begin = start  # what is not copied yet; where the field begins
        for number, _, first, last in self.walk.fields(start, end):
            inside = _INSIDE[kind].get(number)
            inner = self.message(inside, first, last, depth + 1) if inside and last > first else None
            if inner is not None:
                pieces += [Stretch(None, kept, begin), header(number, _size(inner)), *inner]
                kept = last
            begin = last
        return [*pieces, Stretch(None, kept, end)] if pieces else None

    def tensor(self, start: int, end: int) -> list[Piece] | None:
        """The same tensor with its bytes inside; None where they are already."""
        found = _Tensor()
        kept: list[Piece] = []
        begin = start
        for number, value, first, last in self.walk.fields(start, end):
            found.take(self.walk, number, value, first, last)
            if number not in (9, 13, 14):
                kept.append(Stretch(None, begin, last))
            begin = last
        if not found.is_external:
            return None
        place = self.place(found)
        return [*kept, header(9, place.end - place.start), place]

    def place(self, found: "_Tensor") -> Stretch:
        location, offset, length = (found.entries.get(key, "") for key in ("location", "offset", "length"))
        blob = self.blobs.get(check_location(location))
        if blob is None:
            raise _missing(location)
        size = found.size()
        start = int(offset or 0) if _NUMBER.fullmatch(offset or "0") else -1
        is_whole = not length or (_NUMBER.fullmatch(length) and int(length) == size)
        if start < 0 or not is_whole or size < 0 or start + size > blob.size:
            raise _bad_place(found.name)
        return Stretch(blob.path, start, start + size)


@dataclass
class _Tensor:
    """What a tensor says of itself: name, type and shape, and where its bytes are."""

    name: str = ""
    type: int = 0
    dims: list[int] = field(default_factory=list)
    entries: dict[str, str] = field(default_factory=dict)
    is_external: bool = False

    def take(self, walk: Walk, number: int, value: int, first: int, last: int) -> None:
        if number == 1:
            self.dims += list(_packed(walk, first, last)) if last > first else [value]
        elif number == 2:
            self.type = value
        elif number == 8:
            self.name = walk.text(first, last)
        elif number == 13:
            key, text = read_entry(walk, first, last)
            if key in self.entries:
                raise _bad_place(self.name)
            self.entries[key] = text
        self.is_external = self.is_external or number == 13 or (number == 14 and value != 0)

    def size(self) -> int:
        """Bytes of its content, or −1 where that cannot be."""
        if self.type not in _BITS or len(self.dims) > _DIMENSIONS or any(size >= 1 << 40 for size in self.dims):
            return -1
        return -(-math.prod(self.dims) * _BITS[self.type] // 8)


def _packed(walk: Walk, pos: int, end: int) -> Iterator[int]:
    while pos < end:
        value, pos = walk.varint(pos, end)
        yield value


def _missing(location: str) -> Refusal:
    return Refusal(
        Message(
            gettext_noop("Its weights lie in another file, %(name)s, which is not in the upload."), {"name": location}
        ),
        Message(
            gettext_noop("Upload %(name)s together with the model, in the same folder or archive."), {"name": location}
        ),
    )


def _bad_place(name: str) -> Refusal:
    return Refusal(
        Message(
            gettext_noop("The tensor %(name)s refers to bytes that its file of weights does not have."),
            {"name": name[:100]},
        ),
        Message(gettext_noop("Save the model again and upload all of its files, whole.")),
    )


def _too_large(size: int) -> Refusal:
    return Refusal(
        Message(
            gettext_noop(
                "With its weights the model is %(size)s GB, and it is served as one ONNX file, which can hold 2 GB."
            ),
            {"size": f"{size / 1e9:.2f}"},
        ),
        Message(
            gettext_noop(
                "Make the weights smaller: store them as float16 (onnxconverter_common.float16), or quantise them"
                " with onnxruntime.quantization.quantize_dynamic."
            )
        ),
    )
