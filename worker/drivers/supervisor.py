"""The small program above each replica: outlives the worker, passes the stop on, writes down how it ended.

``python -I -S supervisor.py <folder> <socket> <lock> <command line…>``

Returns as soon as the replica's process exists and ``pid`` is on disk; the real supervisor is then a process of its
own. Its end releases the file lock, however it comes about: that is how others know whether the replica lives.
Standard library only; the numbers of the three descriptors are agreed with ``process``.
"""

import contextlib
import fcntl
import os
import signal
import sys
from typing import NoReturn

LISTEN, REPORT, LIFELINE = 3, 4, 5  # as the walled program and its warden know them


def main(folder: str, listen: int, lock: int, command: list[str]) -> NoReturn:
    ready_in, ready_out = os.pipe()
    if os.fork():
        os.close(ready_out)
        os._exit(0 if os.read(ready_in, 1) else 1)  # an empty read: the supervisor ended before it was ready
    os.close(ready_in)
    os.setsid()
    os.chdir("/")
    report, lifeline, child = _spawn(listen, lock, command)
    _end_with(lifeline)
    _write(f"{folder}/pid", f"{os.getpid()} {child}\n")
    os.write(ready_out, b"!")
    os.close(ready_out)
    _write(f"{folder}/exit.json", _read_all(report) or '{"signal": 9}')
    os.waitpid(child, 0)
    os._exit(0)


def _spawn(listen: int, lock: int, command: list[str]) -> tuple[int, int, int]:
    """Start the command in a session of its own; returns our ends of report and lifeline, and its process id."""
    os.set_inheritable(lock, False)  # held open by us alone, and never touched again
    report, report_out = os.pipe()
    lifeline_in, lifeline = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        # Upwards first: the numbers wanted may be in use by the very descriptors that go there.
        high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (listen, report_out, lifeline_in)]
        for number, wanted in zip(high, (LISTEN, REPORT, LIFELINE), strict=True):
            os.dup2(number, wanted)
        os.closerange(LIFELINE + 1, 4096)
        os.execvp(command[0], command)
    for number in (listen, report_out, lifeline_in):
        os.close(number)
    return report, lifeline, child


def _end_with(lifeline: int) -> None:
    """On SIGTERM let go of the lifeline: the warden then asks the program to drain, and ends it after its grace."""

    def let_go(*_: object) -> None:
        with contextlib.suppress(OSError):  # a second SIGTERM finds it closed
            os.close(lifeline)

    signal.signal(signal.SIGTERM, let_go)
    signal.signal(signal.SIGINT, let_go)


def _read_all(source: int) -> str:
    pieces = b""
    while piece := os.read(source, 65536):
        pieces += piece
    return pieces.decode(errors="replace").strip()


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.new", path)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
