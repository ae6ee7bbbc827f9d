"""A store on a disk of this machine, or on a file system that all hosts mount: ``file:///var/lib/slipway/artifacts``."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote

from apps.library import partial
from apps.library.store import tally
from apps.library.store.base import (
    Draft,
    Kept,
    Store,
    Stored,
    chunks_of,
    full_disk_is_unavailable,
    hash_file,
    key_of,
    missing,
    sync_folder,
)

READ_ONLY = 0o440


class DiskStore(Store):
    """Files are written under a random name, flushed, renamed to their digest, and the folder is flushed."""

    def __init__(self, url: SplitResult) -> None:
        self.root = Path(unquote(url.path))
        self.incoming = self.root / "incoming"

    def put(self, source: Path | BinaryIO) -> Stored:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self.put(stream)
        with full_disk_is_unavailable(), self._draft() as draft:
            stored = _write(draft, source)
            self._publish(draft, stored.sha256)
        return stored

    def adopt(self, path: Path, known: Stored | None = None) -> Stored:
        with full_disk_is_unavailable(), self._draft() as draft:
            try:
                os.link(path, draft)
            except OSError:  # another file system, or one without links
                return self.put(path)
            stored = known or hash_file(draft)
            _flush(draft)
            self._publish(draft, stored.sha256)
        return stored

    @contextmanager
    def draft(self, name: str, size: int) -> Iterator[Draft]:
        with full_disk_is_unavailable(), partial.opened(name) as file:
            yield DiskDraft(self, name, file)

    def discard(self, name: str) -> None:
        partial.discard(name)
        tally.forget(name)

    def drafts(self) -> Iterator[str]:
        return partial.stored_ids()

    def disk_bytes(self, size: int) -> int:
        return size

    def open(self, sha256: str, first: int = 0) -> BinaryIO:
        stream = self._existing(sha256).open("rb")
        stream.seek(first)
        return stream

    def fetch(self, sha256: str, folder: Path) -> Path:
        return self._existing(sha256)

    def exists(self, sha256: str) -> bool:
        return (self.root / key_of(sha256)).is_file()

    def delete(self, sha256: str) -> None:
        (self.root / key_of(sha256)).unlink(missing_ok=True)

    def list_kept(self) -> Iterator[Kept]:
        for path in self.root.glob("sha256/??/*"):
            with suppress(FileNotFoundError):  # deleted while we look
                found = path.stat()
                yield Kept(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def _existing(self, sha256: str) -> Path:
        path = self.root / key_of(sha256)
        if not path.is_file():
            raise missing(sha256)
        return path

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """A name for bytes that are not complete yet; whatever is left under it afterwards is removed."""
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.incoming / uuid.uuid4().hex
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _publish(self, draft: Path, sha256: str) -> None:
        final = self.root / key_of(sha256)
        is_first = not final.parent.exists()
        final.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        draft.chmod(READ_ONLY)
        draft.replace(final)  # same name, same bytes: replacing an earlier one is harmless and heals a damaged one
        sync_folder(final.parent)
        if is_first:
            sync_folder(final.parent.parent)


class DiskDraft(Draft):
    """One file; what is sealed gets a second name in the store and is not copied."""

    def __init__(self, store: DiskStore, name: str, file: BinaryIO) -> None:
        self.store, self.name, self.file = store, name, file
        self.end = file.seek(0, os.SEEK_END)
        self.tally = tally.Tally(name, self.end)

    def cut(self, offset: int) -> int:
        self.end = partial.cut(self.file, offset)
        if self.end != self.tally.end:
            self.tally = tally.Tally(self.name, self.end)
        return self.end

    def append(self, data: bytes) -> None:
        partial.write_all(self.file, data)
        self.tally.add(data)
        self.end += len(data)

    def flush(self) -> None:
        partial.sync(self.file)
        self.tally.keep()

    def seal(self) -> Stored:
        return self.tally.total() or hash_file(partial.path_of(self.name))

    def publish(self, stored: Stored) -> None:
        self.store.adopt(partial.path_of(self.name), stored)


def _write(draft: Path, stream: BinaryIO) -> Stored:
    digest, size = hashlib.sha256(), 0
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        for chunk in chunks_of(stream):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Stored(digest.hexdigest(), size)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
