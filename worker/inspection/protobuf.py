"""Walks over protobuf fields without knowing the message and without allocating anything that the bytes ask for."""

from collections.abc import Iterator
from re import Pattern
from typing import Any

Buffer = Any  # bytes or mmap

# A graph of 100,000 nodes has a million fields, of a dozen bytes each. What is much denser is no model: the time for a
# file grows with its size and no faster.
FIELDS = 5_000_000
FIELDS_FREE = 300_000
BYTES_EACH = 10  # on average, beyond those
TEXT = 256  # bytes of a text that are looked at: a longer one comes cut
_WIRES = frozenset({0, 1, 2, 5})
_WIDTHS = {1: 8, 5: 4}  # of numbers that always take as much


class Truncated(Exception):
    """The file ends inside a field."""


class NotProtobuf(Exception):
    """These bytes are no protobuf message."""


class Walk:
    """One pass over a file; all messages in it share one allowance of fields."""

    def __init__(self, data: Buffer, runs: Pattern[bytes] | None = None) -> None:
        self.data = data
        self.left = min(FIELDS, FIELDS_FREE + len(data) // BYTES_EACH)
        self.runs = runs  # stretches that ``has_runs`` steps over in one go

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
        """Number, plain value, and start and end of the content of each field."""
        pos = start
        while pos < end:
            if has_runs and self.runs and (run := self.runs.match(self.data, pos, end)):
                pos = run.end()
                continue
            self.left -= 1
            if self.left < 0:
                raise NotProtobuf
            tag = self.data[pos]  # nearly always one byte: no call for those
            pos += 1
            if tag > 0x7F:
                tag, pos = self.varint(pos - 1, end)
            number, wire = tag >> 3, tag & 7
            value = width = 0
            if wire == 0:
                value, pos = self.varint(pos, end)
            elif wire == 2:
                width, pos = self.varint(pos, end)
            else:
                width = _WIDTHS.get(wire, 0)
            if not number or wire not in _WIRES:
                raise NotProtobuf
            if pos + width > end:
                raise Truncated
            yield number, value, pos, pos + width
            pos += width

    def text(self, start: int, end: int) -> str:
        piece: bytes = self.data[start : min(end, start + TEXT)]
        return piece.decode("utf-8", "replace")


def varint(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def header(number: int, size: int) -> bytes:
    """What stands before the content of a field that has a length."""
    return varint(number << 3 | 2) + varint(size)
