"""Runs one walled command line from start to end and says how it ended, whatever it did."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import FileIO
from typing import Any

from worker.errors import ToolError
from worker.sandbox.values import Limits, Outcome
from worker.specs import Message, gettext_noop

STDOUT_KEPT = 1 << 20
STDERR_KEPT = 8 << 10
_PATIENCE = 2.0  # seconds the warden gets to report after its time is up


@dataclass
class _Streams:
    """What has been read so far. Reading goes on after enough was kept: a full pipe would stop the program."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    report: bytearray = field(default_factory=bytearray)

    def take(self, name: str, data: bytes) -> None:
        kept: bytearray = getattr(self, name)
        if name == "stderr":
            kept += data
            del kept[:-STDERR_KEPT]
        else:
            kept += data[: STDOUT_KEPT - len(kept)]


def execute(build: Callable[[int, int], list[str]], *, limits: Limits, stdin: bytes = b"") -> Outcome:
    """Run ``build(report, lifeline)`` under its wall clock; the numbers are the descriptors the warden is to use.

    Raises ToolError ``sandbox_failed`` only where the walls themselves could not be built.
    """
    try:
        return _execute(build, limits, stdin)
    except OSError as error:
        raise _failed(str(error)) from error


def _execute(build: Callable[[int, int], list[str]], limits: Limits, stdin: bytes) -> Outcome:
    started = time.monotonic()
    deadline = started + limits.seconds if limits.seconds else None
    with _pipe() as (report, report_out), _pipe() as (lifeline_in, lifeline), _input(stdin) as given:
        process = subprocess.Popen(
            build(report_out.fileno(), lifeline_in.fileno()),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(report_out.fileno(), lifeline_in.fileno()),
            start_new_session=True,
            env={},
        )
        report_out.close()
        with process:
            streams, timed_out = _follow(process, report, lifeline.fileno(), deadline)
    return _outcome(streams, timed_out, time.monotonic() - started)


def _follow(
    process: subprocess.Popen[bytes], report: FileIO, lifeline: int, deadline: float | None
) -> tuple[_Streams, bool]:
    """Read until every pipe is closed; at the deadline cut the lifeline, and later kill the whole group."""
    streams, timed_out = _Streams(), False
    with selectors.DefaultSelector() as selector:
        for name, source in (("stdout", process.stdout), ("stderr", process.stderr), ("report", report)):
            assert source is not None
            selector.register(source, selectors.EVENT_READ, name)
        while selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                _cut(process, lifeline, is_last_resort=timed_out)
                timed_out, deadline = True, time.monotonic() + _PATIENCE
                continue
            for key, _ in selector.select(left):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                streams.take(key.data, data)
    return streams, timed_out


def _cut(process: subprocess.Popen[bytes], lifeline: int, *, is_last_resort: bool) -> None:
    with contextlib.suppress(OSError):  # it ended by itself at the same moment
        if is_last_resort:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.write(lifeline, b"\n")


def _outcome(streams: _Streams, timed_out: bool, seconds: float) -> Outcome:
    stderr = streams.stderr.decode(errors="replace")
    report: dict[str, Any] = json.loads(streams.report) if streams.report else {}
    if "trouble" in report or not (report or timed_out):
        raise _failed(report.get("trouble") or stderr)
    ended_by = report.get("signal", None if "exit_code" in report else signal.SIGKILL)
    out_of_time = timed_out or ended_by == signal.SIGXCPU
    return Outcome(
        exit_code=report.get("exit_code"),
        signal=None if ended_by is None else int(ended_by),
        timed_out=timed_out,
        seconds=seconds,
        stdout=bytes(streams.stdout),
        stderr=stderr,
        peak_memory_bytes=report.get("peak_memory_bytes", 0),
        exceeded=report.get("exceeded") or ("time" if out_of_time else ""),
    )


def _failed(detail: str) -> ToolError:
    lines = detail.strip().splitlines() or ["no report"]
    text = gettext_noop("The sandbox could not start the program: %(detail)s. Check the worker's log and try again.")
    return ToolError(Message(text, {"detail": lines[-1]}), kind="sandbox_failed", log=lines[-1])


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """Two ends that are closed at the latest when the block ends.

    File objects, since those close once: a bare number closed twice is another thread's file the second time.
    """
    out_of, into = os.pipe()
    with FileIO(out_of, "rb") as reading, FileIO(into, "wb") as writing:
        yield reading, writing


@contextlib.contextmanager
def _input(data: bytes) -> Iterator[int]:
    """Standard input from a file: nobody has to feed it while the program runs."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()
