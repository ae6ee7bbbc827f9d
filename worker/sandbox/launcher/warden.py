"""Forks the program behind the wall, watches its threads and memory, ends it and reports how it ended."""

import contextlib
import json
import os
import select
import signal
import time
from typing import Any, NoReturn

from . import landlock, libc, privileges, seccomp

_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


def guard(plan: dict[str, Any]) -> NoReturn:
    """Run the program to its end and write one JSON line about it to the report.

    The program can start threads and no processes, so its own end is the end of everything it started.
    """
    trouble_in, trouble_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(trouble_in)
        _become(plan, trouble_out)
    os.close(trouble_out)
    for number in plan["keep"]:  # the program's alone: a listening socket is to close when it does
        os.close(number)
    with open(trouble_in) as stream:
        trouble = stream.read()
    report = _watch(plan, pid) | ({"trouble": trouble} if trouble else {})
    if plan["report"] is not None:
        with contextlib.suppress(OSError):  # nobody is waiting for it any more
            os.write(plan["report"], json.dumps(report).encode() + b"\n")
    os._exit(0)


def _become(plan: dict[str, Any], trouble: int) -> NoReturn:
    """Turn this process into the program; a step that fails ends it before a line of the program has run."""
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in plan["keep"]:
            os.set_inheritable(number, True)
        for number in (plan["report"], plan["lifeline"]):
            if number is not None:
                os.close(number)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # our interpreter ignores them, and that is inherited
            signal.signal(ignored, signal.SIG_DFL)
        os.chdir(plan["cwd"])
        _restrict(plan)
        os.execve(plan["argv"][0], plan["argv"], plan["env"])
    except BaseException as error:
        os.write(trouble, f"{type(error).__name__}: {error}".encode(errors="replace")[:2000])
    os._exit(126)


def _restrict(plan: dict[str, Any]) -> None:
    wall = plan["wall"]
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
    """Wait for the end of the program; bring it about where the lifeline breaks or a limit is passed."""
    lifeline, peak = plan["lifeline"], 0
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    if lifeline is not None:
        poll.register(lifeline, select.POLLIN)
    kill_at, exceeded = float("inf"), ""
    while True:
        events = {number for number, _ in poll.poll(plan["watch_ms"])}
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            peak = max(peak, usage.ru_maxrss * 1024)
            return _ending(status) | {"peak_memory_bytes": peak, "exceeded": exceeded}
        if lifeline in events:
            poll.unregister(lifeline)
            os.kill(pid, signal.SIGTERM if plan["grace"] else signal.SIGKILL)
            kill_at = time.monotonic() + plan["grace"]
        threads, memory = _usage(pid)
        peak = max(peak, memory)
        exceeded = exceeded or _exceeded(plan["limits"], threads, memory)
        if exceeded or time.monotonic() >= kill_at:
            os.kill(pid, signal.SIGKILL)


def _ending(status: int) -> dict[str, int]:
    return {"exit_code": os.WEXITSTATUS(status)} if os.WIFEXITED(status) else {"signal": os.WTERMSIG(status)}


def _usage(pid: int) -> tuple[int, int]:
    """Threads and resident bytes of the program; zeros where this wall has no /proc."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return len(os.listdir(f"/proc/{pid}/task")), int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0, 0


def _exceeded(limits: dict[str, Any], threads: int, memory: int) -> str:
    if threads > limits["processes"]:
        return "processes"
    return "memory" if memory > limits["memory_bytes"] else ""
