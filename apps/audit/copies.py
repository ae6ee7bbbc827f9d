"""The second place for checkpoints, a folder or ``s3://bucket/prefix``: one object each, named by the head it states.

Objects are only ever added, so a folder on another machine or a bucket with object lock will do.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.audit.verifier import Checkpoint
from apps.core.errors import Unavailable

SUFFIX = ".note"
BUCKET = "apps.audit.bucket.Bucket"  # named, not imported: most installations never load the S3 client


class Place(ABC):
    """Somewhere else than the database and the data folder. Every verb raises Unavailable while it is away."""

    @abstractmethod
    def put(self, name: str, text: str) -> None:
        """Add one object; harmless when there is one of this name."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Of all objects, in order."""

    @abstractmethod
    def get(self, name: str) -> str: ...


class Folder(Place):
    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, text: str) -> None:
        draft = self.path / f".{name}.{os.getpid()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with open(draft, "w", encoding="utf-8", opener=_read_only) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path / name)
        except OSError as error:
            raise away(self.path, error) from error

    def names(self) -> Iterator[str]:
        yield from sorted(path.name for path in self.path.glob(f"*{SUFFIX}"))

    def get(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise away(self.path, error) from error


def second_place() -> Place | None:
    """Where ``SLIPWAY_AUDIT_CHECKPOINTS`` says; None without the setting."""
    where = settings.SLIPWAY_AUDIT_CHECKPOINTS
    if not where:
        return None
    parts = urlsplit(where)
    place: Place = import_string(BUCKET)(parts) if parts.scheme == "s3" else Folder(Path(where))
    return place


def name_of(checkpoint: Checkpoint) -> str:
    """The object's name: in the order of the log, and other for any other head."""
    return f"{checkpoint.seq:012d}-{checkpoint.hash}{SUFFIX}"


def away(place: object, error: Exception) -> Unavailable:
    words = _("The place for copies of checkpoints, %(place)s, does not answer: %(reason)s")
    return Unavailable(words % {"place": place, "reason": error})


def _read_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o440)
