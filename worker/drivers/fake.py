"""A target that exists only in memory, for tests and demonstrations; it can be told to fail.

Its world belongs to the target's name, so that two drivers of one target see the same replicas.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from worker.drivers.base import Driver
from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus


@dataclass
class FakeTarget:
    """One fake target: what runs on it, and how it is to misbehave."""

    replicas: dict[str, ReplicaStatus] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # location: the digest that its bytes really have
    unreachable: ToolError | None = None  # every verb raises it
    refuse_start: ToolError | None = None
    crash_on_start: str = ""  # the log line that a new replica dies with
    starts: int = 0

    def crash(self, name: str, line: str = "crashed", exit_code: int = 1) -> None:
        """Let a running replica die, as if by itself."""
        self.lines[name].append(line)
        reason = Message("It crashed with exit code %(code)s.", {"code": exit_code})
        dead = replace(self.replicas[name], state="exited", address="", exit_code=exit_code)
        self.replicas[name] = replace(dead, kind="crashed", reason=reason, log=line)


WORLD: dict[str, FakeTarget] = {}


class FakeDriver(Driver):
    """Keeps every promise of a driver, in memory."""

    is_walled = True  # nothing of a fake replica ever runs

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home

    def check(self) -> list[CheckLine]:
        self._target()
        return [CheckLine("reachable", True, Message("The fake target is always there"))]

    def nodes(self) -> list[Node]:
        self._target()
        return [Node(self.name, "ready", 4.0, 8 << 30, 6 << 30, 100 << 30)]

    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        self.refuse_unwalled(spec)
        target = self._target()
        current = target.replicas.get(spec.name)
        if current is not None and current.state == "running":
            return current
        _verify(target, spec)
        if target.refuse_start is not None:
            raise target.refuse_start
        target.starts += 1
        address = f"127.0.0.1:{20000 + target.starts}"
        target.replicas[spec.name] = ReplicaStatus(spec.name, "running", address, dict(spec.labels), time.time())
        target.lines[spec.name] = [f"serving {spec.location}"]
        if target.crash_on_start:
            target.crash(spec.name, target.crash_on_start)
        return target.replicas[spec.name]

    def stop(self, name: str, drain_seconds: float) -> None:
        target = self._target()
        target.replicas.pop(name, None)
        target.lines.pop(name, None)

    def status(self, name: str) -> ReplicaStatus:
        return self._target().replicas.get(name, ReplicaStatus(name, "gone"))

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        status = self.status(name)
        written = self._target().lines.get(name, []) if status.started_at >= since else []
        return written[-lines:] if lines > 0 else []

    def stats(self, name: str) -> ReplicaStats | None:
        status = self.status(name)
        if status.state != "running":
            return None
        return ReplicaStats(name, (time.time() - status.started_at) * 0.1, 100 << 20)

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        replicas = self._target().replicas
        return [replicas[name] for name in sorted(replicas) if replicas[name].labels.get("instance") == instance]

    def _target(self) -> FakeTarget:
        target = fake_target(self.name)
        if target.unreachable is not None:
            raise target.unreachable
        return target


def fake_target(name: str) -> FakeTarget:
    """The world of one fake target, made on first sight."""
    return WORLD.setdefault(name, FakeTarget())


def _verify(target: FakeTarget, spec: ReplicaSpec) -> None:
    if target.digests.get(spec.location, spec.digest) != spec.digest:
        words = "The bundle %(bundle)s is not the one that was approved: its digest differs."
        raise ToolError(Message(words, {"bundle": spec.location}), kind="digest_mismatch", permanent=True)
