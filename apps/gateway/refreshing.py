"""Keeps what the gateway serves up to date, and on disk for the days on which the database is away."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from apps.gateway.tables import EMPTY, Snapshot, from_json, to_json

logger = logging.getLogger(__name__)


class SnapshotFile:
    """The last snapshot on disk, readable by us alone: it holds what replicas and keys are checked with."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Snapshot | None:
        try:
            return from_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("the snapshot in %s cannot be used: %s", self._path, error)
            return None

    def write(self, snapshot: Snapshot) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(to_json(snapshot))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


class Refresher:
    """Loads a snapshot every second, in a thread; where that fails, the last one stays in use."""

    def __init__(
        self, load: Callable[[], Snapshot], use: Callable[[Snapshot], None], file: SnapshotFile, seconds: float
    ) -> None:
        self._load = load
        self._use = use
        self._file = file
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "snapshot")  # one thread, so that its database connection lasts
        self._current = EMPTY
        self.failures = 0
        self.loaded_at = 0.0  # seconds since the epoch; 0 before the first success

    @property
    def age(self) -> float:
        """Seconds since the snapshot was last known to be right; infinite before that."""
        return time.time() - self.loaded_at if self.loaded_at else float("inf")

    @property
    def version(self) -> str:
        return self._current.version

    @property
    def is_ready(self) -> bool:
        """Whether there is anything to serve by."""
        return self._current is not EMPTY

    async def start(self) -> None:
        """Load once; without the database, take what is on disk."""
        await self.refresh()
        if not self.is_ready and (stored := await asyncio.to_thread(self._file.read)) is not None:
            logger.warning("the database does not answer: serving by the last snapshot on disk")
            self._adopt(stored)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.refresh()

    def close(self) -> None:
        """Wait for nothing: what is being loaded would not be used any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def refresh(self) -> None:
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        except Exception as error:  # whatever a database can raise: serving on is worth more than knowing it by name
            self._note_failure(error)
            return
        if self.failures:
            logger.warning("the snapshot is fresh again after %d failures", self.failures)
            self.failures = 0
        self.loaded_at = time.time()
        if loaded.version != self._current.version or not self.is_ready:
            self._adopt(loaded)
            await self._keep(loaded)

    def _adopt(self, snapshot: Snapshot) -> None:
        self._current = snapshot
        self._use(snapshot)

    async def _keep(self, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(self._file.write, snapshot)
        except OSError as error:
            logger.warning("the snapshot could not be written to disk: %s", error)

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        if self.failures in (1, 10) or self.failures % 60 == 0:
            logger.warning("loading the snapshot failed %d times in a row: %s", self.failures, error)
