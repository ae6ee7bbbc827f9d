"""Workers forked from this process, which has imported everything already: ten milliseconds instead of a second.

Each does what the worker of the product does with no broker at all: it looks what is due and does it.
"""

import contextlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError, connection, connections
from psycopg2.errorcodes import IDLE_IN_TRANSACTION_SESSION_TIMEOUT

from apps.core.jobs import Job
from tests.faults.points import watch
from worker.tasks.build import build
from worker.tasks.check_target import check_target
from worker.tasks.deliver import deliver
from worker.tasks.examine import examine
from worker.tasks.orphans import clear_orphans
from worker.tasks.reconcile import reconcile
from worker.tasks.starts import start_due
from worker.tasks.sweep import due_jobs
from worker.tasks.try_target import try_target

TASKS: dict[Job, Callable[[int], Any]] = {
    Job.EXAMINE: examine,
    Job.BUILD: build,
    Job.RECONCILE: reconcile,
    Job.CHECK_TARGET: check_target,
    Job.TRY_TARGET: try_target,
    Job.DELIVER: deliver,
}
Tasks = dict[Job, Callable[[int], Any]]


@dataclass
class Fate:
    """Hits a worker, once, at the first point at which nobody was hit before: by a signal to itself.

    So every worker comes a little further than those before it, until there is no point left. Where it passes is
    written down too, so that a point at which nobody was ever hit is known.
    """

    notebook: int  # a descriptor to append to
    passed: int  # another
    blow: signal.Signals | None
    where: str  # only at points whose names begin so
    skips: int = 0  # so many points at which it could have been hit
    is_over: bool = False
    known: set[str] = field(default_factory=set)

    def __call__(self, name: str) -> None:
        if not name.startswith(self.where):
            return
        if name not in self.known:
            self.known.add(name)
            os.write(self.passed, f"{name}\n".encode())
        if self.blow is None or self.is_over or name in self._struck():
            return
        if self.skips:
            self.skips -= 1
            return
        self.is_over = True
        os.write(self.notebook, f"{name}\n".encode())
        signal.raise_signal(self.blow)  # not os.kill, which the interpreter would tell of as one more point

    def _struck(self) -> list[str]:
        return os.pread(self.notebook, 1 << 20, 0).decode().split("\n")


class Crew:
    """The workers of one storm, and what they have written down."""

    def __init__(self, folder: Path, tasks: Tasks = TASKS, repeats: int = 1, where: str = "") -> None:
        self.tasks, self.repeats, self.where = tasks, repeats, where
        self.notes, self.way, self.errors = folder / "points", folder / "passed", folder / "errors"
        self.errors.touch()
        self.notebook, self.passed = (
            os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600) for path in (self.notes, self.way)
        )
        self.alive: set[int] = set()
        self.asleep: set[int] = set()

    def fork(self, blow: signal.Signals | None = None, skips: int = 0) -> int:
        """One more worker, hit by ``blow`` at a point of its own, or by nothing; its process id."""
        fate = Fate(self.notebook, self.passed, blow, self.where, skips)
        connections.close_all()  # nobody may speak on a connection of the parent
        pid = os.fork()
        if pid == 0:
            self._live(fate)
        self.alive.add(pid)
        return pid

    def look(self) -> None:
        """Notice who has died or fallen asleep."""
        for pid in list(self.alive):
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                self.asleep.add(pid)
            elif found:
                self.alive.discard(pid)
                self.asleep.discard(pid)

    def wake(self, pid: int) -> None:
        self.asleep.discard(pid)
        os.kill(pid, signal.SIGCONT)

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.alive.discard(pid)
        self.asleep.discard(pid)

    def end(self) -> None:
        for pid in list(self.alive):
            self.kill(pid)
        os.close(self.notebook)
        os.close(self.passed)

    def struck(self) -> list[str]:
        """Points at which somebody was hit, in order."""
        return self.notes.read_text().splitlines()

    def missed(self) -> set[str]:
        """Points that somebody has passed and at which nobody was hit."""
        return set(self.way.read_text().splitlines()) - set(self.struck())

    def _live(self, fate: Fate) -> None:
        """The whole life of a worker; does not return."""
        try:
            with self.errors.open("a") as log:
                os.dup2(log.fileno(), 2)
                sys.stderr = log
                connection.ensure_connection()
                watch(fate)
                while True:
                    self._attempt(self._work, random.Random(os.getpid()))
                    time.sleep(0.1)  # the database is away
        finally:
            os._exit(1)

    def _work(self, chance: random.Random) -> None:
        for job, pk in self._rings(chance):
            self._attempt(self.tasks[job], pk)

    def _rings(self, chance: random.Random) -> Iterator[tuple[Job, int]]:
        """Everything that is due, for ever; where rings are repeated, in any order and also when it is late."""
        late: list[tuple[Job, int]] = []
        while True:
            now = list(due_jobs())
            rings = [ring for ring in now for _ in range(chance.randint(1, self.repeats))]
            if self.repeats > 1:
                late = chance.sample(late + now, k=min(20, len(late + now)))
                rings += late
                chance.shuffle(rings)
            yield from rings
            self._attempt(start_due)
            self._attempt(clear_orphans)
            if not now:
                time.sleep(0.02)

    def _attempt(self, task: Callable[..., Any], *args: Any) -> None:
        """As Celery does: an error that nobody expected is written down, and the next task comes."""
        try:
            task(*args)
        except Exception as error:
            is_away = is_about_the_connection(error)
            words = f"worker {os.getpid()} lost its database: {error}" if is_away else traceback.format_exc()
            print(words, file=sys.stderr, flush=True)
            if is_away:
                connection.close()


def is_about_the_connection(error: Exception) -> bool:
    """Whether the database is away, or has ended the connection of one who slept in a transaction."""
    slept = getattr(error.__cause__, "pgcode", "") == IDLE_IN_TRANSACTION_SESSION_TIMEOUT
    return slept or isinstance(error, OperationalError | InterfaceError)
