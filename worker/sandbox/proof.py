"""Finds out which walls this machine can build, by trying to get through each of them."""

import sys
import tempfile
from functools import cache
from pathlib import Path

from worker.errors import ToolError
from worker.sandbox.execution import execute
from worker.sandbox.values import Limits, Wall
from worker.sandbox.walls import KINDS, Program, command_line
from worker.specs import Message, gettext_noop

_DESCRIPTIONS = {
    "bubblewrap": gettext_noop("Bubblewrap: own files, no network, no other processes; seccomp and Landlock inside"),
    "namespaces": gettext_noop("Namespaces: own files, no network, no other processes; seccomp and Landlock inside"),
    "landlock": gettext_noop("Landlock and seccomp: only its own files, no network, no signals to other processes"),
}
UNWALLED = Wall("none", Message(gettext_noop("No sandbox on this machine: resource limits only")))
_ATTEMPT = """
import socket, sys
def works(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return False
    return True
doors = [works(open, sys.argv[1]), works(socket.socket)]
works(open, sys.argv[1], "w")
print("open" if any(doors) else "closed")
"""


def available() -> tuple[Wall, ...]:
    """Every wall that works here, strongest first. Each is tried once, for about a tenth of a second."""
    return tuple(_wall(kind) for kind in KINDS if _holds(kind))


def strongest() -> Wall | None:
    """The strongest wall of this machine, proved by running a program behind it; None where there is none."""
    return next((_wall(kind) for kind in KINDS if _holds(kind)), None)


def _wall(kind: str) -> Wall:
    return Wall(kind, Message(_DESCRIPTIONS[kind]))


@cache
def _holds(kind: str) -> bool:
    limits = Limits(memory_bytes=1 << 30, seconds=30, cpu_seconds=10)
    with tempfile.NamedTemporaryFile(prefix="slipway-proof-") as secret:
        secret.write(b"secret")
        secret.flush()
        program = Program([sys.executable, "-I", "-S", "-c", _ATTEMPT, secret.name], limits=limits)
        try:
            outcome = execute(
                lambda report, lifeline: command_line(kind, program, report=report, lifeline=lifeline), limits=limits
            )
        except ToolError:
            return False
        untouched = Path(secret.name).read_bytes() == b"secret"
    return untouched and outcome.exit_code == 0 and outcome.stdout == b"closed\n"
