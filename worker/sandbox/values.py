"""What goes into a sandbox and what comes out of it."""

import os
from dataclasses import dataclass

from worker.specs import Message


@dataclass(frozen=True)
class Limits:
    """The most that one sandboxed program may use; 0 means "no limit" for the two times."""

    memory_bytes: int = 4 << 30
    seconds: float = 60.0  # wall clock
    cpu_seconds: int = 60
    file_bytes: int = 1 << 30  # the largest single file it may write
    processes: int = 64 + 4 * (os.cpu_count() or 1)  # its threads: a second process is refused altogether
    open_files: int = 256


@dataclass(frozen=True)
class Outcome:
    """How a sandboxed program ended. A crash is an outcome like any other."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    seconds: float
    stdout: bytes  # the first 1 MiB
    stderr: str  # the last 8 kB
    peak_memory_bytes: int
    exceeded: str = ""  # the limit that ended it: time memory processes; empty where none did


@dataclass(frozen=True)
class Wall:
    """One kind of wall that works on this machine; ``description`` is the line shown as evidence."""

    kind: str  # bubblewrap namespaces landlock
    description: Message
