"""One process behind the wall that runs the probes of many examinations, one after the other.

Examinations go as always; only ``probing.run`` is another one. It hands each request to a process that has imported
the libraries already, which spares each model those seconds: same wall, same limits, same probes. A model that takes
the process down ends as it would have ended alone, and the next gets a new process. No other scanner is asked.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from worker import sandbox
from worker.inspection import probing, second_opinion
from worker.inspection.probing import Event
from worker.sandbox import Limits, Outcome, Wall

_PROGRAM = Path(__file__).with_name("room_inside.py")
_WORKER = Path(probing.__file__).parents[1]
_POLL = 0.005
_SECONDS = 60.0  # that one probe may take
_LONG = Limits(seconds=0, cpu_seconds=0)  # of the process; each probe has a clock of its own
_ENDED = Outcome(0, None, False, 0.0, b"", "", 0)


class Room:
    """Runs requests in the process behind the wall; ``folder`` is all that it sees of the machine's files."""

    def __init__(self, folder: Path, wall: Wall, pool: ThreadPoolExecutor) -> None:
        self.folder, self.wall, self.pool = folder, wall, pool
        self.process: Future[Outcome] | None = None
        self.count = 0

    def run(self, probe: str, request: Mapping[str, Any], folder: Path, *_: Any) -> Iterator[Event | Outcome]:
        """As ``probing.run``."""
        self.count += 1
        if self.process is None:
            self.process = self.pool.submit(self._start, self.count)
        report, answered = folder / f"{probe}.jsonl", self.folder / f"{self.count}.done"
        body = {**request, "probe": probe, "folder": str(folder), "events": str(report), "seconds": _SECONDS}
        self._put(f"{self.count}.request", json.dumps(body))
        while not answered.exists() and not self.process.done():
            time.sleep(_POLL)
        yield from map(probing.parse, report.read_bytes().splitlines() if report.exists() else ())
        if answered.exists():
            yield replace(_ENDED, exit_code=int(answered.read_text()))
            return
        outcome, self.process = self.process.result(), None
        yield outcome

    def _start(self, number: int) -> Outcome:
        argv = [sys.executable, "-I", _PROGRAM, _WORKER, self.folder, number]
        return sandbox.run(
            list(map(str, argv)), readable=[_WORKER, _PROGRAM], writable=[self.folder], limits=_LONG, wall=self.wall
        )

    def leave(self) -> None:
        if self.process:
            self._put(f"{self.count + 1}.request", "null")
            self.process.result()

    def _put(self, name: str, text: str) -> None:
        """Whole or not at all: the other side looks while we write."""
        part = self.folder / "part"
        part.write_text(text)
        part.rename(self.folder / name)


@contextmanager
def walled() -> Iterator[Path]:
    """Let examinations run their probes in one process behind the strongest wall; gives where their files must lie."""
    wall = sandbox.strongest()
    assert wall, "this machine has no sandbox"
    with tempfile.TemporaryDirectory(prefix="slipway-room-") as name, ThreadPoolExecutor(1) as pool:
        room = Room(Path(name), wall, pool)
        with patch.object(probing, "run", room.run), patch.object(second_opinion, "ask", lambda path: {}):
            try:
                yield room.folder
            finally:
                room.leave()
