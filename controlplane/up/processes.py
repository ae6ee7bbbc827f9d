"""Processes that belong to a data folder: found by a mark in their environment, stopped for certain."""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "SLIPWAY_UP"  # inherited by all that the supervisor starts, whoever their parent is by now


def find_marked(home: Path) -> list[int]:
    """Process ids that ``up`` on this data folder started, now or in an earlier life."""
    mark = f"{MARK}={home}".encode()
    return [pid for pid in _list_pids() if pid != os.getpid() and mark in _read_environment(pid).split(b"\0")]


def stop_marked(home: Path, *, patience: float) -> int:
    """Ask what is left of an earlier start to end, and end it after ``patience`` seconds; how many there were."""
    found = find_marked(home)
    if found:
        send(found, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while find_marked(home) and time.monotonic() < deadline:
            time.sleep(0.05)
        while left := find_marked(home):
            send(left, signal.SIGKILL)
            time.sleep(0.05)
    return len(found)


def send(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except (ProcessLookupError, PermissionError):
            continue  # gone by itself, or the number went to somebody else


def _list_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:  # no Linux
        return []


def _read_environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()  # empty for a process that has ended but was not waited for
    except OSError:
        return b""
