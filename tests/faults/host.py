"""A target whose world is a folder: replicas are files there, so they outlive the workers that make them."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from worker.drivers.base import Driver
from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus

Observer = Callable[[str], None]


class HostOnDisk(Driver):
    """Keeps every promise of a driver. ``before_stop`` is told each name at the moment when it is about to end."""

    is_walled = True

    def __init__(self, folder: Path, before_stop: Observer = lambda name: None) -> None:
        self.folder, self.before_stop = folder, before_stop
        self.poison = ""  # the beginning of names whose start kills the worker, every time

    def check(self) -> list[CheckLine]:
        self._reach()
        return [CheckLine("reachable", True, Message("It is a folder"))]

    def nodes(self) -> list[Node]:
        self._reach()
        return [Node(self.folder.name, "ready", 4.0, 8 << 30, 6 << 30, 100 << 30)]

    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        self._reach()
        known = self.status(spec.name)
        if known.state == "running":
            return known
        if self.poison and spec.name.startswith(self.poison):
            os.kill(os.getpid(), signal.SIGKILL)
        made = {"labels": dict(spec.labels), "digest": spec.digest, "started_at": time.time(), "exit_code": None}
        draft = self.folder.with_name(f"draft-{os.getpid()}")  # so that a replica is there as a whole or not at all
        draft.write_text(json.dumps(made))
        draft.rename(self._file(spec.name))
        return self.status(spec.name)

    def stop(self, name: str, drain_seconds: float) -> None:
        self._reach()
        if self._file(name).exists():
            self.before_stop(name)
            self._file(name).unlink(missing_ok=True)

    def status(self, name: str) -> ReplicaStatus:
        try:
            made = json.loads(self._file(name).read_text())
        except FileNotFoundError:
            return ReplicaStatus(name, "gone")
        seen = ReplicaStatus(name, "running", f"{name}:80", made["labels"], made["started_at"], digest=made["digest"])
        if made["exit_code"] is None:
            return seen
        reason = Message("It ended with exit code %(code)s.", {"code": made["exit_code"]})
        return replace(seen, state="exited", address="", exit_code=made["exit_code"], kind="crashed", reason=reason)

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        self._reach()
        return [f"{name} serves"][:lines] if self.status(name).state == "running" else []

    def stats(self, name: str) -> ReplicaStats | None:
        self._reach()
        return ReplicaStats(name, 1.0, 100 << 20) if self.status(name).state == "running" else None

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        self._reach()
        seen = [self.status(name) for name in self.names()]
        return [status for status in seen if status.labels.get("instance") == instance]

    def names(self) -> list[str]:
        """Everything that is there, whoever's it is."""
        return sorted(path.stem for path in self.folder.glob("[!.]*.json"))

    def is_away(self, away: bool) -> None:
        """Let the host answer nobody, or everybody again."""
        mark = self.folder / ".away"
        mark.touch() if away else mark.unlink(missing_ok=True)

    def _reach(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / ".away").exists():
            raise ToolError("The host does not answer.", kind="unreachable")

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
