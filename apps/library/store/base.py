"""What every artifact store promises, and the arithmetic they share."""

import errno
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from apps.core.errors import Missing, NoRoom, Unavailable

CHUNK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Stored:
    """Bytes that are safe in the store: their name, and how many they are."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Kept(Stored):
    """What lies in the store, as its own listing tells: ``modified_at`` is when it was written last."""

    modified_at: datetime


class DamagedArtifact(Unavailable):
    """The stored bytes no longer have the digest they are named by."""


class Draft(ABC):
    """The bytes of one upload that have arrived so far, held open for one connection at a time.

    Nobody else sees them. What was flushed survives a crash; what was only appended may be lost by one.
    """

    end: int  # how many bytes there are

    @abstractmethod
    def cut(self, offset: int) -> int:
        """Drop what lies behind ``offset``; returns where the draft ends now.

        That is less when bytes were lost, and more when the store has taken bytes for good.
        """

    @abstractmethod
    def append(self, data: bytes) -> None:
        """Add bytes at the end. Until the next ``flush`` a ``cut`` takes them back."""

    @abstractmethod
    def flush(self) -> None:
        """Return once everything appended is safe."""

    @abstractmethod
    def seal(self) -> Stored:
        """Digest and size of all bytes, of which there will be no more. May be repeated."""

    @abstractmethod
    def publish(self, stored: Stored) -> None:
        """Make the sealed bytes available under their digest. May be repeated; the draft stays until discarded."""


class Store(ABC):
    """Bytes named by their sha256.

    What is stored never changes, appears all at once or not at all, and storing it again is harmless. A digest that is
    not there raises Missing; a full disk raises NoRoom, a bucket that does not answer Unavailable, and nothing is left
    half done.
    """

    def prepare(self) -> None:  # noqa: B027 - on disk there is nothing to do: folders come with the first file
        """Make the place where bytes are kept, unless it is there; for the start of an installation."""

    @abstractmethod
    def put(self, source: Path | BinaryIO) -> Stored:
        """Store a copy of a file or of what is left of a stream."""

    @abstractmethod
    def adopt(self, path: Path, known: Stored | None = None) -> Stored:
        """Store a file that nobody will write to any more, without copying it where that is possible.

        The file stays where it is; the caller removes it when the artifact is on record. ``known`` is what the caller
        has hashed while it wrote the file, which is then not read again for that.
        """

    @abstractmethod
    def draft(self, name: str, size: int) -> AbstractContextManager[Draft]:
        """The draft of this name, begun when there is none; StateConflict while another connection has it.

        ``size`` is how many bytes it will have in the end.
        """

    @abstractmethod
    def discard(self, name: str) -> None:
        """Forget a draft and all of its bytes; having none is no error."""

    @abstractmethod
    def drafts(self) -> Iterator[str]:
        """The names of all drafts that have bytes anywhere."""

    @abstractmethod
    def disk_bytes(self, size: int) -> int:
        """How many bytes of this machine's disk an upload of ``size`` takes while it arrives."""

    @abstractmethod
    def open(self, sha256: str, first: int = 0) -> BinaryIO:
        """The bytes from ``first`` on as a readable stream, to be closed by the caller. They are not checked again."""

    @abstractmethod
    def fetch(self, sha256: str, folder: Path) -> Path:
        """A local read-only path to the bytes: the stored file itself, or a copy made in ``folder``."""

    @abstractmethod
    def exists(self, sha256: str) -> bool:
        """Whether the bytes are here."""

    @abstractmethod
    def delete(self, sha256: str) -> None:
        """Forget the bytes; what is gone already is no error."""

    @abstractmethod
    def list_kept(self) -> Iterator[Kept]:
        """Everything stored, in no order."""

    def fetch_verified(self, sha256: str, folder: Path) -> Path:
        """Like ``fetch``, after hashing every byte again; DamagedArtifact if they are not what their name says."""
        path = self.fetch(sha256, folder)
        if hash_file(path).sha256 != sha256:
            raise DamagedArtifact(
                _("The stored file %(digest)s is damaged: its bytes no longer have this digest.") % {"digest": sha256},
                advice=_("Restore it from a backup of the artifact store, or upload the version again."),
            )
        return path


def key_of(sha256: str) -> str:
    """Where the bytes lie below a store's root: ``sha256/ab/<digest>``. ValueError for what is no digest."""
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"not a sha256: {sha256[:80]!r}")
    return f"sha256/{sha256[:2]}/{sha256}"


def hash_file(path: Path) -> Stored:
    """Digest and size of a file, read in pieces."""
    with path.open("rb") as file:
        return hash_stream(file)


def hash_stream(stream: BinaryIO) -> Stored:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks_of(stream):
        digest.update(chunk)
        size += len(chunk)
    return Stored(digest.hexdigest(), size)


def chunks_of(stream: BinaryIO) -> Iterator[bytes]:
    """What is left of a stream, a mebibyte at a time."""
    while chunk := stream.read(CHUNK):
        yield chunk


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def full_disk_is_unavailable() -> Iterator[None]:
    """Tell a full disk as what it is to the person who sent the bytes; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoRoom(
            _("The disk that keeps uploads and artifacts is full. Nothing was stored."),
            advice=_("Ask an administrator to make room, then try again."),
        ) from error


def missing(sha256: str) -> Missing:
    return Missing(_("There is no artifact %(digest)s in the store.") % {"digest": sha256})
