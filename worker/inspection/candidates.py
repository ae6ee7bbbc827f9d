"""The files of an upload as they are looked at: what each may be, out of its archive and out of its compression."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worker.inspection import archives, formats, layers
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop


@dataclass(frozen=True)
class Candidate:
    """One file that may be the model."""

    path: Path
    name: str
    size: int
    kind: str
    layers: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder that it came in, ending in a slash, or nothing."""
        return "".join(self.name.rpartition("/")[:2])


@contextmanager
def view(path: Path) -> Iterator[Any]:
    """The bytes of a file without reading it: a memory map, or empty bytes."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def look(path: Path, name: str, size: int) -> Candidate:
    with view(path) as data:
        return Candidate(path, name, size, formats.recognise(data))


def is_archive(candidate: Candidate) -> bool:
    """Whether it is a zip or a tar, also under a layer of compression (by its first unpacked bytes)."""
    if candidate.kind in ("zip", "tar"):
        return True
    if candidate.kind not in layers.KINDS:
        return False
    return layers.first_bytes(candidate.path, candidate.kind, 512)[257:262] == b"ustar"


def unwrap(candidate: Candidate, scratch: Path, limit: int) -> Candidate:
    """Take off layers of compression, at most two; what is under each has at most ``limit`` bytes."""
    while candidate.kind in layers.KINDS:
        depth = len(candidate.layers)
        if depth == layers.DEPTH:
            raise Refusal(
                Message(gettext_noop("The file is compressed more than twice over.")),
                Message(gettext_noop("Save the model again, compressed once or not at all.")),
            )
        target = scratch / f"plain-{depth}"
        layers.unwrap(candidate.path, candidate.kind, target, limit)
        inner = look(target, candidate.name, target.stat().st_size)
        candidate = replace(inner, layers=(*candidate.layers, candidate.kind))
    return candidate


def unpack(archive: Candidate, folder: Path, limit: int) -> list[Candidate]:
    with view(archive.path) as data:
        entries = archives.read_zip(data) if archive.kind == "zip" else archives.read_tar(data)
        paths = archives.extract(data, entries, folder, limit)
    return [look(path, entry.name, entry.size) for path, entry in zip(paths, entries, strict=True)]
