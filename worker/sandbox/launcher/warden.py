"""Forks the program behind the wall, watches it, ends it and reports how it ended."""

import contextlib
import json
import os
import select
import signal
import time
from typing import Any, NoReturn

from . import landlock, libc, privileges, seccomp

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PAGE = os.sysconf("SC_PAGE_SIZE")


def guard(plan: dict[str, Any]) -> NoReturn:
    """Run the program to its end, write one JSON line to the report, and take down whatever it left behind."""
    _adopt_orphans()
    trouble_in, trouble_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(trouble_in)
        _become(plan, trouble_out)
    os.close(trouble_out)
    _close_given(plan)
    with open(trouble_in) as stream:
        trouble = stream.read()
    report = _watch(plan, pid)
    if trouble:
        report["trouble"] = trouble
    _write_report(plan["report"], report)
    _end_everything()


def _become(plan: dict[str, Any], trouble: int) -> NoReturn:
    """Turn this process into the program; every step that fails ends it before a line of the program has run."""
    try:
        for number in plan["keep"]:
            os.set_inheritable(number, True)
        for number in (plan["report"], plan["lifeline"]):
            if number is not None:
                os.close(number)
        os.chdir(plan["cwd"])
        _restrict(plan)
        os.execve(plan["argv"][0], plan["argv"], plan["env"])
    except BaseException as error:
        os.write(trouble, f"{type(error).__name__}: {error}".encode(errors="replace")[:2000])
    os._exit(126)


def _restrict(plan: dict[str, Any]) -> None:
    wall = plan["wall"]
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    privileges.limit_resources(
        plan["limits"], strict_memory=plan["strict_memory"], own_users=wall in ("bubblewrap", "namespaces")
    )
    privileges.refuse_new_privileges()
    if wall == "none":
        return
    privileges.drop_capabilities()
    signals_scoped = landlock.restrict(
        readable=[place for _, place in plan["readable"]],
        writable=[place for _, place in plan["writable"]] + ([] if wall == "landlock" else ["/tmp", "/dev/shm"]),
        required=wall == "landlock",
    )
    seccomp.install(own_pid=os.getpid(), signals_outside=wall == "landlock" and not signals_scoped)


def _watch(plan: dict[str, Any], pid: int) -> dict[str, Any]:
    """Wait for the end of the program; end it where the lifeline breaks or a limit is passed."""
    lifeline, limits = plan["lifeline"], plan["limits"]
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    if lifeline is not None:
        poll.register(lifeline, select.POLLIN | select.POLLHUP)
    report: dict[str, Any] = {"peak_memory_bytes": 0}
    kill_at = float("inf")
    while not _reap(pid, report):
        events = {number for number, _ in poll.poll(plan["watch_ms"])}
        if lifeline in events:
            poll.unregister(lifeline)
            os.kill(pid, signal.SIGTERM if plan["grace"] else signal.SIGKILL)
            kill_at = time.monotonic() + plan["grace"]
        exceeded = _exceeded(limits, report)
        if exceeded:
            report["exceeded"] = exceeded
        if exceeded or time.monotonic() >= kill_at:
            return report | {"signal": signal.SIGKILL}
    return report


def _reap(pid: int, report: dict[str, Any]) -> bool:
    """Collect every child that has ended, orphans included; true once the program itself has."""
    while True:
        try:
            ended, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if ended == 0:
            return False
        report["peak_memory_bytes"] = max(report["peak_memory_bytes"], usage.ru_maxrss * 1024)
        if ended == pid:
            report["exit_code" if os.WIFEXITED(status) else "signal"] = _ending(status)
            return True


def _ending(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else os.WTERMSIG(status)


def _exceeded(limits: dict[str, Any], report: dict[str, Any]) -> str:
    tasks = memory = 0
    for each in _members():
        with contextlib.suppress(OSError):  # it ended while we looked
            tasks += len(os.listdir(f"/proc/{each}/task"))
            with open(f"/proc/{each}/statm") as file:
                memory += int(file.read().split()[1]) * _PAGE
    report["peak_memory_bytes"] = max(report["peak_memory_bytes"], memory)
    if tasks > limits["processes"]:
        return "processes"
    return "memory" if memory > limits["memory_bytes"] else ""


def _members() -> list[int]:
    """Every process behind the wall: all others where we are process 1, else our descendants."""
    if os.getpid() == 1:
        with contextlib.suppress(OSError):
            return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        return []
    found, waiting = [], [os.getpid()]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(part) for part in file.read().split()]
    return found


def _adopt_orphans() -> None:
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _close_given(plan: dict[str, Any]) -> None:
    """Let go of what only the program uses, so that a listening socket closes when the program does."""
    for number in plan["keep"]:
        os.close(number)


def _write_report(number: int | None, report: dict[str, Any]) -> None:
    if number is not None:
        with contextlib.suppress(OSError):  # nobody is waiting for it any more
            os.write(number, json.dumps(report).encode() + b"\n")


def _end_everything() -> NoReturn:
    """Leave nobody behind: the end of process 1 ends its namespace; elsewhere the whole process group goes, we too."""
    if os.getpid() != 1:
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
