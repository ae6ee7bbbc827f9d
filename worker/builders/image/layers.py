"""A folder as one layer of an image: the same files give the same bytes, wherever and whenever.

A plain tar, sorted, owned by root, read-only and dated 1970. It is not compressed: weights hardly shrink, other
versions of zlib would give other bytes, and so a layer's digest is also its ``diff_id``.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from worker.builders.image.client import Blob

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20


def folder_layer(folder: Path, place: str) -> Blob:
    """The layer that puts what lies in ``folder`` at ``place`` (``opt/bundle``); every byte is read once for it."""
    read = partial(_write_tar, folder, place)
    seen, size = hashlib.sha256(), 0
    for chunk in read():
        seen.update(chunk)
        size += len(chunk)
    return Blob(f"sha256:{seen.hexdigest()}", size, read)


def _write_tar(folder: Path, place: str) -> Iterator[bytes]:
    yield _header(place, tarfile.DIRTYPE)
    for path in sorted(folder.rglob("*")):
        name = f"{place}/{path.relative_to(folder).as_posix()}"
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ValueError(f"{name} is neither a file nor a folder")
        if path.is_dir():
            yield _header(name, tarfile.DIRTYPE)
        else:
            yield from _write_file(path, name)
    yield bytes(2 * _BLOCK)


def _write_file(path: Path, name: str) -> Iterator[bytes]:
    size = path.stat().st_size
    yield _header(name, tarfile.REGTYPE, size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield bytes(-size % _BLOCK)


def _header(name: str, kind: bytes, size: int = 0) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    entry.mode = 0o555 if kind == tarfile.DIRTYPE else 0o444
    return entry.tobuf(tarfile.PAX_FORMAT)
