"""Looks through an HDF5 file with h5py before Keras opens it: plain groups and plain arrays, and nothing else.

HDF5 can refer to other files (external links, external storage, virtual datasets), to itself (soft links) and claim
arrays of any size. A Keras file has none of that.
"""

from pathlib import Path
from typing import Any, NamedTuple

import h5py

from worker.inspection.probes.reporting import Failure

OBJECTS = 100_000
DEPTH = 32
FREE = 1 << 20  # bytes that an array may claim beyond what the file has: chunks of zeros take no room
RATIO = 100


class Notes(NamedTuple):
    """What the attributes of the file say, as far as they are there."""

    config: str  # the description of the model
    version: str  # of Keras


def check(path: Path) -> Notes:
    """What the file says of itself; Failure ``hdf5`` for what does not belong."""
    limit = FREE + RATIO * path.stat().st_size
    with h5py.File(path, "r") as file:
        total = 0
        waiting: list[tuple[Any, int]] = [(file, 0)]
        seen = 0
        while waiting:
            group, depth = waiting.pop()
            for name in group:
                seen += 1
                item = _plain(group, name)
                if isinstance(item, h5py.Dataset):
                    total += _size(item, name)
                elif depth < DEPTH:
                    waiting.append((item, depth + 1))
                if total > limit or seen > OBJECTS or depth >= DEPTH:
                    raise Failure("hdf5", what="more than such a file can hold")
        return Notes(_text(file, "model_config"), _text(file, "keras_version"))


def _text(file: Any, name: str) -> str:
    found = file.attrs.get(name, "")
    return found.decode() if isinstance(found, bytes) else str(found)


def _plain(group: Any, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Failure("hdf5", what=f"a link, {name}"[:100])
    item = group[name]
    if not isinstance(item, h5py.Dataset | h5py.Group):
        raise Failure("hdf5", what=f"a type of its own, {name}"[:100])
    return item


def _size(data: Any, name: str) -> int:
    """Bytes that an array claims; its content lies in this file, and is numbers or short text."""
    if data.is_virtual or data.external:
        raise Failure("hdf5", what=f"data of another file, {name}"[:100])
    if data.dtype.kind not in "biufcS":
        raise Failure("hdf5", what=f"an array of objects, {name}"[:100])
    return int(data.size or 0) * int(data.dtype.itemsize)
