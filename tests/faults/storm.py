"""A storm: people want things, workers do them, and workers die or fall asleep all the while."""

import random
import signal
import time
from dataclasses import dataclass, field

from tests.faults.lab import LEASE_SECONDS, Lab
from tests.faults.verdicts import breaches, unsettled
from tests.faults.workers import Crew

WORKERS = 3
ASLEEP = 4  # at once, each holding the lease of something
QUIET_SECONDS = 10.0  # without a new point: there are no more
CALM_SECONDS = 120.0  # for a storm's last wishes to come true, at most; a few where nobody else uses the machine


@dataclass
class Outcome:
    """What a storm did, and what came of it."""

    name: str
    wishes: int = 0
    struck: list[str] = field(default_factory=list)  # points
    missed: set[str] = field(default_factory=set)  # points that only came up when nobody was hit any more
    kills: int = 0  # at no point in particular
    seconds: float = 0.0  # from the last blow to all well
    wrong: list[str] = field(default_factory=list)
    errors: str = ""

    def __str__(self) -> str:
        blows = len(self.struck) + self.kills
        points = f"{len(set(self.struck))} points, {len(self.missed)} more at the end"
        hit = f"{blows} workers {self.name} ({points}), {self.wishes} wishes"
        end = f"{len(self.wrong)} things wrong" if self.wrong else "nothing lost, left over or misrouted"
        return f"{hit}: {end}, after {self.seconds:.1f} s (lease {LEASE_SECONDS} s)"


class Storm:
    """``blow`` until the blows are used up, then ``settle``."""

    def __init__(self, name: str, lab: Lab, crew: Crew, chance: random.Random) -> None:
        self.lab, self.crew, self.chance = lab, crew, chance
        self.outcome = Outcome(name)
        self.woken_at: dict[int, float] = {}
        self.next_wish = 0.0
        for endpoint in lab.endpoints:
            lab.start(endpoint, replicas=2)

    def strike(self, times: int, blow: signal.Signals, seconds: float, skips: int = 0) -> None:
        """Hit so many workers, each at another point; fewer where no new point comes up, or after ``seconds``.

        With ``skips``, a worker passes up to so many points at which it could be hit.
        """
        quiet = seconds if skips else QUIET_SECONDS
        deadline, newest, count = time.monotonic() + seconds, time.monotonic(), 0
        while count < times and time.monotonic() < min(deadline, newest + quiet):
            self._wish()
            self._wake_late()
            if len(self.crew.asleep) < ASLEEP and len(self.crew.alive - self.crew.asleep) < WORKERS:
                self.crew.fork(blow, self.chance.randint(0, skips))
            time.sleep(0.005)
            if (now := len(self.crew.struck())) > count:
                newest, count = time.monotonic(), now
        while self.crew.asleep:
            self._wake_late()
            time.sleep(0.01)

    def work(self, workers: int, seconds: float) -> None:
        """Nobody is hit."""
        while len(self.crew.alive) < workers:
            self.crew.fork()
        self._keep_wishing(seconds)

    def kill(self, times: int) -> None:
        """Kill workers wherever they are, ``times`` times."""
        while self.outcome.kills < times:
            while len(self.crew.alive) < WORKERS:
                self.crew.fork()
            self._keep_wishing(self.chance.uniform(0.0, 0.08))
            self.crew.kill(self.chance.choice(sorted(self.crew.alive)))
            self.outcome.kills += 1

    def settle(self, patience: float = CALM_SECONDS) -> Outcome:
        """One worker whom nobody disturbs, until all is as it is wanted or ``patience`` is over."""
        for pid in list(self.crew.alive):
            self.crew.kill(pid)
        self.crew.fork()
        since = time.monotonic()
        self.lab.release_what_is_ready()
        while (wrong := unsettled(self.lab)) and time.monotonic() < since + patience:
            self.lab.release_what_is_ready()
            time.sleep(0.2)
        out = self.outcome
        out.seconds, out.wishes, out.struck = time.monotonic() - since, self.lab.wishes, self.crew.struck()
        out.missed = self.crew.missed() if out.struck else set()
        out.wrong, out.errors = [*wrong, *breaches(self.lab)], self.crew.errors.read_text()
        return out

    def _wake_late(self) -> None:
        """Wake those who have slept for longer than their lease: now they believe that they still hold it."""
        now = time.monotonic()
        self.crew.look()
        for pid in list(self.crew.asleep):
            if now > self.woken_at.setdefault(pid, now + 1.2 * LEASE_SECONDS):
                self.crew.wake(pid)
        for pid in self.crew.alive - self.crew.asleep:  # what it had in hand is done; now there is room for another
            if now > self.woken_at.get(pid, now) + LEASE_SECONDS:
                self.crew.kill(pid)

    def _keep_wishing(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            self._wish()
            self.crew.look()
            time.sleep(max(0.0, min(0.01, until - now)))

    def _wish(self) -> None:
        if time.monotonic() >= self.next_wish:
            self.next_wish = time.monotonic() + 0.1
            self.lab.wish()
            self.lab.release_what_is_ready()
