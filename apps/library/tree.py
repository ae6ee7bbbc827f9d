"""A version's files as a tree, row by row in the order of a reader: folders before what is in them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.library.models import VersionFile

DEEPEST = 8  # further in, the indentation stays


@dataclass(frozen=True)
class Row:
    """A folder, or a file in its folder; ``depth`` is how many folders it is in."""

    name: str
    depth: int
    file: VersionFile | None = None

    @property
    def indent(self) -> int:
        return min(self.depth, DEEPEST)


def as_tree(files: Iterable[VersionFile]) -> Iterator[Row]:
    """Each folder once, then its folders, then its files, by name. What was made of them stands beside them."""
    yield from _inside([(file.name.split("/"), file) for file in files], 0)


def _inside(files: list[tuple[list[str], VersionFile]], depth: int) -> Iterator[Row]:
    folders: dict[str, list[tuple[list[str], VersionFile]]] = {}
    for parts, file in files:
        if len(parts) > 1:
            folders.setdefault(parts[0], []).append((parts[1:], file))
    for name in sorted(folders):
        yield Row(name, depth)
        yield from _inside(folders[name], depth + 1)
    for parts, file in sorted((pair for pair in files if len(pair[0]) == 1), key=lambda pair: pair[0]):
        yield Row(parts[0], depth, file)
