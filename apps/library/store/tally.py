"""The sha256 of a draft, counted while its bytes arrive, so that nobody has to read them all again at the end.

The state of a hash cannot be written down: it is kept in this process, between the connections that bring the bytes.
After a restart, or where another process took some of them, the tally is lost, and the draft is read once at its end.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from apps.library.store.base import Stored

KEPT = 4096  # drafts; about 300 bytes each


class _Mark(NamedTuple):
    """The state of the hash where everything is safe, and what the store called the parts that it covers."""

    end: int
    parts: tuple[str, ...]
    digest: Any


_marks: OrderedDict[str, _Mark] = OrderedDict()
_guard = threading.Lock()


class Tally:
    """The running digest of one draft that is open; ``parts`` must be what they were when it was kept last."""

    def __init__(self, name: str, end: int, parts: Sequence[str] = ()) -> None:
        self.name, self.end = name, end
        self._digest = hashlib.sha256() if end == 0 else _recall(name, end, parts)

    def add(self, data: bytes) -> None:
        self.end += len(data)
        if self._digest is not None:
            self._digest.update(data)

    def keep(self, parts: Sequence[str] = ()) -> None:
        """Remember the digest up to here for the next connection."""
        if self._digest is None:
            forget(self.name)
            return
        with _guard:
            _marks[self.name] = _Mark(self.end, tuple(parts), self._digest.copy())
            _marks.move_to_end(self.name)
            while len(_marks) > KEPT:
                _marks.popitem(last=False)

    def total(self) -> Stored | None:
        """Digest and size of all bytes, or None if this process did not see them all."""
        return None if self._digest is None else Stored(self._digest.hexdigest(), self.end)


def forget(name: str) -> None:
    with _guard:
        _marks.pop(name, None)


def _recall(name: str, end: int, parts: Sequence[str]) -> Any:
    with _guard:
        mark = _marks.get(name)
    if mark is None or (mark.end, mark.parts) != (end, tuple(parts)):
        return None
    return mark.digest.copy()
