"""What of an upload lies on this machine's disk: one file that one connection at a time holds."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.errors import StateConflict

SUFFIX = ".part"


def folder() -> Path:
    """Where unfinished uploads lie; made when missing."""
    path = settings.SLIPWAY_HOME / "uploads"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(upload_id: object) -> Path:
    return folder() / f"{upload_id}{SUFFIX}"


def tails_of(upload_id: object) -> Iterator[Path]:
    """Files beside it, named by where in the upload their bytes begin: what waits to be a part of an object."""
    return folder().glob(f"{upload_id}{SUFFIX}.*")


def tail_of(upload_id: object, begins_at: int) -> Path:
    return folder() / f"{upload_id}{SUFFIX}.{begins_at}"


def discard(upload_id: object) -> None:
    """Remove the bytes; having none is no error."""
    for path in (path_of(upload_id), *tails_of(upload_id)):
        path.unlink(missing_ok=True)


def stored_ids() -> Iterator[str]:
    """The ids of the uploads that have bytes here."""
    for path in folder().glob(f"*{SUFFIX}"):
        yield path.name.removesuffix(SUFFIX)


@contextmanager
def opened(upload_id: object) -> Iterator[BinaryIO]:
    """The file, for us alone; StateConflict while another connection is writing to it."""
    handle = os.open(path_of(upload_id), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateConflict(
                _("Another connection is still sending this file."),
                advice=_("Wait a few seconds, ask how far it has come, and go on from there."),
            ) from error
        yield file


def cut(file: BinaryIO, offset: int) -> int:
    """Drop whatever lies behind ``offset``; returns where the file ends now, which is less if bytes were lost."""
    end = min(offset, os.fstat(file.fileno()).st_size)
    os.ftruncate(file.fileno(), end)
    file.seek(end)
    return end


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write every byte: an unbuffered write may take only some of them."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sync(file: BinaryIO) -> None:
    os.fsync(file.fileno())
