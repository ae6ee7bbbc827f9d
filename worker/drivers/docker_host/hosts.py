"""The hosts of one target: asked side by side, each on its own, so that one that hangs keeps nobody waiting for long.

A host that did not answer is left alone for a while that doubles (a circuit breaker, shared by all of this process);
meanwhile it counts as away without being asked. No more than two threads of this process speak to one host at a time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from worker.drivers.docker_host.engine import Engine
from worker.errors import ToolError
from worker.specs import Message, TargetSpec, gettext_noop

T = TypeVar("T")

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 30.0  # that a host which did not answer is left alone
AT_ONCE = 2
_PATIENCE_SECONDS = 60.0  # that a third thread waits for its turn

_NONE = gettext_noop("The target %(target)s has no hosts. Add one on its page.")
_BUSY = gettext_noop("%(host)s is still busy with earlier work; it will be asked again.")


@dataclass
class Circuit:
    """What this process knows of one host's answering."""

    failures: int = 0
    open_until: float = 0.0  # monotonic
    error: ToolError | None = None
    turns: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))

    def note(self, error: ToolError | None) -> None:
        self.failures = 0 if error is None else self.failures + 1
        self.error = error
        wait = min(LONGEST_SECONDS, SHORTEST_SECONDS * 2 ** (self.failures - 1)) if error else 0.0
        self.open_until = time.monotonic() + wait


_circuits: dict[str, Circuit] = {}


@dataclass(frozen=True)
class Host:
    """One machine of a target, by its name and the address of its engine."""

    name: str
    url: str

    @property
    def circuit(self) -> Circuit:
        return _circuits.setdefault(self.url, Circuit())


class Hosts:
    """Opens the engines of one target when they are first needed."""

    def __init__(self, target: TargetSpec) -> None:
        self.target = target
        self.all = [Host(str(each["name"]), str(each["url"])) for each in target.config.get("hosts") or ()]
        self.away: dict[str, ToolError] = {}  # of the last round: who did not answer, and why

    def __getitem__(self, name: str) -> Host:
        return next(host for host in self.all if host.name == name)

    @contextmanager
    def engine(self, host: Host) -> Iterator[Engine]:
        """A conversation with this host. ToolError where it does not answer, or did not a moment ago."""
        circuit = host.circuit
        if circuit.error is not None and time.monotonic() < circuit.open_until:
            raise circuit.error
        if not circuit.turns.acquire(timeout=_PATIENCE_SECONDS):
            raise ToolError(Message(_BUSY, {"host": host.name}), kind="unreachable")
        try:
            engine = Engine(host.name, host.url, self.target.secrets)
            try:
                yield engine
            finally:
                engine.close()
            circuit.note(None)
        except ToolError as error:
            circuit.note(error if error.kind in AWAY else None)
            raise
        finally:
            circuit.turns.release()

    def ask(self, question: Callable[[Engine], T]) -> dict[str, T]:
        """The answers of all hosts that gave one, by name; ``away`` tells of the others.

        ToolError where no host answers at all: then nothing is known of what runs.
        """
        if not self.all:
            raise ToolError(Message(_NONE, {"target": self.target.name}), kind="no_hosts", permanent=True)
        with ThreadPoolExecutor(max_workers=len(self.all)) as pool:
            told = dict(zip(self.all, pool.map(lambda host: self._one(host, question), self.all), strict=True))
        self.away = {host.name: answer for host, answer in told.items() if isinstance(answer, ToolError)}
        if len(self.away) == len(self.all):
            raise next(iter(self.away.values()))
        return {host.name: answer for host, answer in told.items() if not isinstance(answer, ToolError)}

    def _one(self, host: Host, question: Callable[[Engine], T]) -> T | ToolError:
        try:
            with self.engine(host) as engine:
                return question(engine)
        except ToolError as error:
            return error


# Kinds of error that say that a host was not reached, in whatever way; others say that it answered.
AWAY: frozenset[str] = frozenset({"unreachable", "tls_untrusted", "tls_refused", "ssh_host_key", "ssh_denied"})
