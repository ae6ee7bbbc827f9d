"""Steps through XGBoost's two formats without building anything: whole, flat and of plausible lengths.

XGBoost's own parsers go down one call per level and believe every length. They run in the sandbox, but what cannot be
a model is refused before. UBJSON: https://ubjson.org; XGBoost writes its numbers big-endian and its arrays typed.
"""

import re
import struct
from typing import Any

from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

Buffer = Any  # bytes or mmap

DEPTH = 32  # a model has eight levels

# A forest of 1,000 trees has 60,000 texts and brackets, with thirteen bytes to each.
TOKENS_FREE = 300_000
BYTES_EACH = 10  # on average, beyond those

_JSON = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_BLANK = re.compile(rb"\s*+")
_TAIL = 200  # bytes in which the version lies, the last entry of the outermost object
_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]\s*\}\s*\Z')
_UBJ_VERSION = re.compile(rb"version\[#(?:L\0{7}\x03|[iU]\x03)i(.)i(.)i(.)\}\s*\Z", re.DOTALL)
_SIZES = {
    **dict.fromkeys(b"iUC", 1), b"I"[0]: 2, **dict.fromkeys(b"ld", 4), **dict.fromkeys(b"LD", 8),
    **dict.fromkeys(b"TFZN", 0),
}  # fmt: skip
_COUNTS = {b"i"[0]: ">b", b"U"[0]: ">B", b"I"[0]: ">h", b"l"[0]: ">i", b"L"[0]: ">q"}


def refuse_odd(data: Buffer, kind: str) -> None:
    """Refuse a file of ``kind`` (xgboost_json, xgboost_ubj) that is not one object to its end, or nests too deeply."""
    try:
        end = _end_of_json(data) if kind == "xgboost_json" else _Ubjson(data).end()
    except (IndexError, struct.error) as error:
        raise _broken() from error
    if _BLANK.match(data, end).end() != len(data):  # type: ignore[union-attr]
        raise _broken()


def versions(data: Buffer, kind: str) -> tuple[str, ...]:
    """The version of XGBoost that wrote the file: three numbers behind the model; none where it does not say so."""
    tail = bytes(data[-_TAIL:])
    found = (_JSON_VERSION if kind == "xgboost_json" else _UBJ_VERSION).search(tail)
    if found is None:
        return ()
    numbers = map(int, found.groups()) if kind == "xgboost_json" else (group[0] for group in found.groups())
    return (".".join(map(str, numbers)),)


def _end_of_json(data: Buffer) -> int:
    """Where the first object ends; brackets inside texts do not count."""
    closing, most = bytearray(), _most_tokens(data)
    for count, found in enumerate(_JSON.finditer(data)):
        first = data[found.start()]
        if first in b"{[":
            closing.append(first + 2)  # the closing bracket's code
            if len(closing) > DEPTH:
                raise _too_deep()
        elif first in b"}]":
            if not closing or closing.pop() != first:
                raise _broken()
            if not closing:
                return found.end()
        elif found.end() - found.start() < 2 or data[found.end() - 1] != first:
            raise _broken()
        if count > most:
            raise _broken()
    raise _broken()


def _most_tokens(data: Buffer) -> int:
    return TOKENS_FREE + len(data) // BYTES_EACH


class _Ubjson:
    """One walk through a UBJSON document."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.pos = 0
        self.left = _most_tokens(data)

    def end(self) -> int:
        """Where the document ends."""
        self.value(0)
        return self.pos

    def value(self, depth: int) -> None:
        kind = self.byte()
        self.left -= 1
        if depth > DEPTH or not self.left:
            raise _too_deep()
        if kind == b"{"[0]:
            while self.peek() != b"}"[0]:
                self.skip(self.count())
                self.value(depth + 1)
            self.skip(1)
        elif kind == b"["[0]:
            self.array(depth)
        elif kind in b"SH":
            self.skip(self.count())
        else:
            self.skip(_size(kind))

    def array(self, depth: int) -> None:
        """Values up to a bracket, as many as announced, or so many of one size."""
        size = None
        if self.peek() == b"$"[0]:
            self.skip(1)
            size = _size(self.byte())
        if self.peek() == b"#"[0]:
            self.skip(1)
            count = self.count()
            if size is not None:
                self.skip(count * size)
                return
            for _ in range(count):
                self.value(depth + 1)
            return
        if size is not None:
            raise _broken()
        while self.peek() != b"]"[0]:
            self.value(depth + 1)
        self.skip(1)

    def count(self) -> int:
        layout = _COUNTS.get(self.byte())
        if layout is None:
            raise _broken()
        start = self.skip(struct.calcsize(layout))
        count: int = struct.unpack(layout, self.data[start : self.pos])[0]
        if count < 0:
            raise _broken()
        return count

    def byte(self) -> int:
        found: int = self.data[self.skip(1)]
        return found

    def peek(self) -> int:
        found: int = self.data[self.pos]
        return found

    def skip(self, count: int) -> int:
        """Step over this many bytes, which must be there; gives where they start."""
        start, self.pos = self.pos, self.pos + count
        if self.pos > len(self.data):
            raise _broken()
        return start


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise _broken()
    return _SIZES[kind]


def _broken() -> Refusal:
    return Refusal(
        Message(gettext_noop("The file is damaged: its parts do not fit together.")),
        Message(gettext_noop("Save the model again with model.save_model and upload the whole file.")),
    )


def _too_deep() -> Refusal:
    return Refusal(
        Message(gettext_noop("The file is nested more deeply, or has more parts, than any model that XGBoost writes.")),
        Message(gettext_noop("Save the model again with model.save_model and upload the whole file.")),
    )
