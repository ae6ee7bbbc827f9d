"""The data folder: where it is, and the secrets that are made in it on the first start."""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import overload


def data_folder(root: Path) -> Path:
    """``SLIPWAY_HOME`` or ``var/`` beside ``manage.py``; made when missing, readable by us alone."""
    home = Path(os.environ.get("SLIPWAY_HOME") or root / "var").expanduser().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def secret(home: Path, name: str, size: int = 32) -> bytes:
    """``size`` random bytes kept in ``secrets/<name>`` (mode 0600); made by whichever process comes first."""
    return KeyRing(home / "secrets" / name, size)[0]


class KeyRing(Sequence[bytes]):
    """The keys of one file, newest first: one a line in hexadecimal, then the time it was made at.

    A file that another process has changed is read again, so that a rotation reaches those that run.
    """

    def __init__(self, path: Path, size: int = 32) -> None:
        self.path = path
        self._size = size
        self._read_from: tuple[int, int] | None = None
        self._keys: tuple[bytes, ...] = ()
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # never replaces: the first process wins
                self._write(secrets.token_hex(size), os.link)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, index: int | slice) -> bytes | tuple[bytes, ...]:
        return self._present()[index]

    def __len__(self) -> int:
        return len(self._present())

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._present())

    def newest_since(self) -> datetime | None:
        """When the newest key was put before another one; None for a first key."""
        words = self.path.read_text().splitlines()[0].split()
        return datetime.fromisoformat(words[1]) if len(words) > 1 else None

    def rotate(self) -> None:
        """Put a new key before the others; they go on opening what they have closed."""
        made = f"{secrets.token_hex(self._size)} {datetime.now(UTC).isoformat(timespec='seconds')}"
        self._write(f"{made}\n{self.path.read_text()}", os.replace)

    def forget(self) -> None:
        """Keep the newest key alone."""
        self._write(self.path.read_text().splitlines()[0], os.replace)

    def _present(self) -> tuple[bytes, ...]:
        status = self.path.stat()
        if self._read_from != (status.st_ino, status.st_mtime_ns):
            lines = self.path.read_text().splitlines()
            self._keys = tuple(bytes.fromhex(line.split()[0]) for line in lines if line.strip())
            self._read_from = (status.st_ino, status.st_mtime_ns)
        return self._keys

    def _write(self, text: str, put: Callable[[Path, Path], None]) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            put(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)
