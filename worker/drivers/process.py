"""This machine: replicas as supervised processes behind the sandbox's strongest wall.

A replica listens on a socket that is opened here and handed down, so it needs no network of its own. Its supervisor
does not belong to the worker: it goes on when the worker ends, and what is on disk lets the next worker take over.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from worker import sandbox
from worker.builders.bundles import verify_bundle
from worker.drivers import endings, logfiles, machine
from worker.drivers.base import Driver
from worker.drivers.records import Folder, Replica, every_folder, exclusive
from worker.drivers.supervisor import LIFELINE, LISTEN, REPORT
from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus, gettext_noop

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_BACKLOG = 2048
_SPARE = 2.0  # seconds beyond the drain in which an orderly end is still awaited
_ENOUGH_DISK = 1 << 30


class ProcessDriver(Driver):
    """Keeps ``replicas/<name>/`` below its home; ``host`` is this machine as the gateway reaches it."""

    def __init__(self, home: Path, host: str = "127.0.0.1") -> None:
        self.home = home.resolve()
        self.host = host
        self.wall = sandbox.strongest() or sandbox.UNWALLED
        self.is_walled = self.wall is not sandbox.UNWALLED

    def check(self) -> list[CheckLine]:
        node = self._node()
        disk = Message(gettext_noop("%(gib).1f GiB free"), {"gib": node.disk_free_bytes / (1 << 30)})
        memory = Message(gettext_noop("%(gib).1f GiB free"), {"gib": node.memory_free_bytes / (1 << 30)})
        return [
            CheckLine(gettext_noop("sandbox"), self.is_walled, self.wall.description),
            CheckLine(gettext_noop("disk"), node.disk_free_bytes > _ENOUGH_DISK, disk),
            CheckLine(gettext_noop("memory"), node.memory_free_bytes > _ENOUGH_DISK // 2, memory),
        ]

    def nodes(self) -> list[Node]:
        return [self._node()]

    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        self.refuse_unwalled(spec)
        with _told(), exclusive(self.home, spec.name):
            folder = Folder(self.home, spec.name)
            if not folder.lives():
                verify_bundle(Path(spec.location), spec.digest)
                folder.remove()
                self._launch(spec, folder)
        return self.status(spec.name)

    def stop(self, name: str, drain_seconds: float) -> None:
        with _told(), exclusive(self.home, name):
            folder = Folder(self.home, name)
            pids = folder.pids()
            if pids and folder.lives():
                _end(folder, pids, drain_seconds)
            folder.remove()

    def status(self, name: str) -> ReplicaStatus:
        folder = Folder(self.home, name)
        lives = folder.lives()  # before the files are read: what dies in between has written its ending by then
        replica = folder.read()
        if replica is None:
            return ReplicaStatus(name, "gone")
        logfiles.shorten(folder.log)
        if lives:
            return ReplicaStatus(name, "running", replica.address, replica.labels, replica.started_at)
        ending = endings.explain(folder.ending(), logfiles.last_lines(folder.log, 200))
        return ReplicaStatus(
            name, "exited", "", replica.labels, replica.started_at,
            ending.exit_code, ending.kind, ending.reason, ending.log,
        )  # fmt: skip

    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        return logfiles.last_lines(Folder(self.home, name).log, lines, since)

    def stats(self, name: str) -> ReplicaStats | None:
        folder = Folder(self.home, name)
        pids = folder.pids()
        if pids is None or not folder.lives():
            return None
        with contextlib.suppress(OSError):  # it ended while we looked
            return ReplicaStats(name, *machine.usage(machine.last_descendant(pids[1])))
        return None

    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        owned = [folder.name for folder in every_folder(self.home) if _instance(folder) == instance]
        return [self.status(name) for name in owned]

    def _node(self) -> Node:
        self.home.mkdir(parents=True, exist_ok=True)
        return machine.this_node(self.home)

    def _launch(self, spec: ReplicaSpec, folder: Folder) -> None:
        with socket.create_server((self.host, 0), backlog=_BACKLOG) as listener:
            host, port = listener.getsockname()
            replica = Replica(
                spec.name, dict(spec.labels), spec.digest, f"{host}:{port}", time.time(), self.wall.kind
            )  # fmt: skip
            folder.make(replica, spec.secret)
            with folder.own() as lock:
                _supervise(folder, listener.fileno(), lock, self._command(spec, folder))

    def _command(self, spec: ReplicaSpec, folder: Folder) -> list[str]:
        environment, bundle = Path(spec.environment), Path(spec.location)
        threads = max(1, round(spec.cpus))
        limits = sandbox.Limits(
            memory_bytes=spec.memory_bytes, seconds=0, cpu_seconds=0, processes=64 + 8 * threads, open_files=16384
        )
        return sandbox.command(
            [environment / "bin" / "python", "-m", "slipway_runtime"],
            readable=[environment, bundle, folder.secret],
            writable=[folder.scratch] if self.wall.kind == "landlock" else [],  # the others have a /tmp with a limit
            limits=limits,
            env=_variables(spec, folder, threads),
            network_fds=[LISTEN],
            cwd=bundle,
            grace=spec.drain_seconds + _SPARE,
            report=REPORT,
            lifeline=LIFELINE,
            wall=self.wall,
        )


def _variables(spec: ReplicaSpec, folder: Folder, threads: int) -> dict[str, str]:
    return {
        "SLIPWAY_LISTEN": f"fd:{LISTEN}",
        "SLIPWAY_BUNDLE": spec.location,
        "SLIPWAY_SECRET_FILE": str(folder.secret) if spec.secret else "",
        "SLIPWAY_RELEASE": spec.labels.get("release", ""),
        "SLIPWAY_REPLICA": spec.name,
        "SLIPWAY_DRAIN_SECONDS": str(spec.drain_seconds),
        "SLIPWAY_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }


def _supervise(folder: Folder, listener: int, lock: int, command: list[str]) -> None:
    """Start the supervisor; when this returns the replica is on its own and on record."""
    line = [os.path.realpath(sys.executable), "-I", "-S", str(_SUPERVISOR), str(folder.path), str(listener), str(lock)]
    with folder.log.open("ab") as log:
        done = subprocess.run(
            [*line, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(listener, lock), cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)}, check=False,
        )  # fmt: skip
    if done.returncode:
        words = gettext_noop("The replica %(name)s could not be started: %(detail)s")
        detail = endings.telling_line(logfiles.last_lines(folder.log, 50))
        raise ToolError(Message(words, {"name": folder.name, "detail": detail}), kind="start_failed", log=detail)


def _end(folder: Folder, pids: tuple[int, int], drain_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[0], signal.SIGTERM)
        if folder.wait_until_dead(drain_seconds + _SPARE):
            return
        for pid in reversed(machine.chain(pids[0])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    folder.wait_until_dead(_SPARE)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the machine refuses (a full disk, no descriptors left) is said in words; it may go better later."""
    try:
        yield
    except OSError as error:
        words = gettext_noop("This machine refused: %(reason)s. Free what is short there; it will be tried again.")
        reason = error.strerror or str(error)
        raise ToolError(Message(words, {"reason": reason}), kind="machine") from error


def _instance(folder: Folder) -> str:
    replica = folder.read()
    return replica.labels.get("instance", "") if replica else ""
