"""Artifacts: claimed by whoever brings their bytes, and collected when nothing refers to them any more.

Both take the artifact's row first. So nobody claims bytes that are being collected, and nobody collects bytes that were
just claimed: whoever comes second sees what the first has done.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.library.models import Artifact, Upload, VersionFile
from apps.library.store import Stored, get_store

log = structlog.get_logger(__name__)

GRACE = timedelta(days=1)  # between bringing bytes and making a version of them
_ENDED = (Upload.State.USED, Upload.State.EXPIRED, Upload.State.CANCELLED)


@dataclass(frozen=True)
class Unreferenced:
    """Bytes that nothing refers to. ``is_stray``: no row knows of them; a crash left them."""

    sha256: str
    size: int
    is_stray: bool


def keep(source: Path | BinaryIO) -> Stored:
    """Store a file that is at hand, safe from being collected for the time of ``GRACE``."""
    store = get_store()
    start = 0 if isinstance(source, Path) else source.tell()
    stored = store.put(source)

    def again() -> None:
        if not isinstance(source, Path):
            source.seek(start)
        store.put(source)

    claim(stored, again)
    return stored


@transaction.atomic
def claim(stored: Stored, publish: Callable[[], object]) -> Artifact:
    """The artifact's row, ours until the transaction ends; ``publish`` stores bytes that were collected since."""
    artifact, _is_new = _take(stored.sha256, stored.size)
    if not get_store().exists(stored.sha256):
        publish()
    artifact.claimed_at = timezone.now()
    artifact.save(update_fields=["claimed_at"])
    return artifact


def find_unreferenced(*, grace: timedelta = GRACE) -> Iterator[Unreferenced]:
    """What a collection would remove now."""
    before = timezone.now() - grace
    for artifact in _unreferenced(before):
        yield Unreferenced(artifact.sha256, artifact.size, is_stray=False)
    known = set(Artifact.objects.values_list("sha256", flat=True))
    for kept in get_store().list_kept():
        if kept.sha256 not in known and kept.modified_at < before:
            yield Unreferenced(kept.sha256, kept.size, is_stray=True)


def collect(found: Iterable[Unreferenced], *, grace: timedelta = GRACE) -> list[Unreferenced]:
    """Remove those of them that are still unreferenced; returns what was removed."""
    removed = [one for one in found if _remove(one, timezone.now() - grace)]
    if removed:
        log.info("artifacts_collected", count=len(removed), bytes=sum(one.size for one in removed))
    return removed


def collect_unreferenced() -> int:
    """The sweep's round: returns how many bytes were given back."""
    return sum(one.size for one in collect(list(find_unreferenced())))


def _take(sha256: str, size: int) -> tuple[Artifact, bool]:
    """The row, locked, and whether there was none before; tried again where somebody removes it under our hands."""
    while True:
        _row, is_new = Artifact.objects.get_or_create(sha256=sha256, defaults={"size": size})
        artifact = Artifact.objects.select_for_update().filter(pk=sha256).first()
        if artifact is not None:
            return artifact, is_new


@transaction.atomic
def _remove(one: Unreferenced, before: datetime) -> bool:
    artifact, is_new = _take(one.sha256, one.size)
    if not is_new and not _unreferenced(before).filter(pk=one.sha256).exists():
        return False
    Upload.objects.filter(artifact=artifact, state__in=_ENDED).update(artifact=None)
    get_store().delete(one.sha256)
    artifact.delete()
    return True


def _unreferenced(before: datetime) -> QuerySet[Artifact]:
    """Artifacts that no version holds, no transfer that could still become one, and nobody brought since."""
    files = VersionFile.objects.filter(artifact=OuterRef("pk"))
    waiting = Upload.objects.filter(artifact=OuterRef("pk")).exclude(state__in=_ENDED)
    return Artifact.objects.filter(~Exists(files), ~Exists(waiting), claimed_at__lt=before)
