"""Takes off compression, one layer at a time, into a file of ours, within limits."""

import bz2
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from worker.inspection.archives import CHUNK, RATIO, RATIO_FREE, too_much
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

DEPTH = 2

# An lzma decoder may not take more than this for its dictionary.
_LZMA_MEMORY = 128 << 20

_UNPACKERS: dict[str, Callable[[], Any]] = {
    "zlib": lambda: zlib.decompressobj(15),
    "gzip": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY),
}
KINDS = frozenset(_UNPACKERS)


def unwrap(source: Path, kind: str, target: Path, limit: int) -> None:
    """Write what ``source`` holds under its outer layer to ``target``: at most ``limit`` bytes."""
    unpacker = _UNPACKERS[kind]()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o440)
    taken = written = 0
    with open(source, "rb") as packed, os.fdopen(descriptor, "wb") as plain:
        while piece := packed.read(CHUNK):
            taken += len(piece)
            for part in _pieces(unpacker, kind, piece):
                written += len(part)
                if written > limit:
                    raise too_much(
                        gettext_noop("Unpacked, the file is larger than the %(limit)s GB that are unpacked here."),
                        limit,
                    )
                if written > RATIO_FREE and written > taken * RATIO:
                    raise _refuse(
                        gettext_noop(
                            "The compressed file cannot be unpacked: its content is far larger than that of a model."
                        )
                    )
                plain.write(part)
            if unpacker.eof and (unpacker.unused_data or packed.read(1)):
                raise _refuse(
                    gettext_noop(
                        "The compressed file cannot be unpacked: something follows the end of the compressed part."
                    )
                )
    if not unpacker.eof:
        raise _refuse(gettext_noop("The compressed file cannot be unpacked: it ends in the middle."))


def _pieces(unpacker: Any, kind: str, piece: bytes) -> Iterator[bytes]:
    """What comes out for one piece that goes in, never more than a chunk at a time."""
    is_zlib = kind in ("zlib", "gzip")  # the others keep what they have not used up
    try:
        while True:
            yield unpacker.decompress(piece, CHUNK)
            piece = unpacker.unconsumed_tail if is_zlib else b""
            if unpacker.eof or (not piece if is_zlib else unpacker.needs_input):
                return
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError) as error:
        raise _refuse(gettext_noop("The compressed file cannot be unpacked: its data is damaged.")) from error


def _refuse(reason: str) -> Refusal:
    return Refusal(
        Message(reason),
        Message(gettext_noop("Save the model again and upload the whole file, compressed or not.")),
    )


def first_bytes(source: Path, kind: str, count: int) -> bytes:
    """The first bytes under the outer layer, or fewer where they cannot be had."""
    try:
        with open(source, "rb") as packed:
            piece: bytes = _UNPACKERS[kind]().decompress(packed.read(CHUNK), count)
            return piece
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError):
        return b""
