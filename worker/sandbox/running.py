"""The two ways to use a sandbox: run a program to its end, or get the command line of one that stays."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from worker.errors import ToolError
from worker.sandbox.execution import execute
from worker.sandbox.proof import strongest
from worker.sandbox.values import Limits, Outcome, Wall
from worker.sandbox.walls import Program, command_line
from worker.specs import Message, gettext_noop

_NO_LIMITS = Limits()
_NO_ENVIRONMENT: Mapping[str, str] = {}


def run(
    argv: Sequence[str | Path],
    *,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    limits: Limits = _NO_LIMITS,
    stdin: bytes = b"",
    env: Mapping[str, str] = _NO_ENVIRONMENT,
    cwd: Path | None = None,
    wall: Wall | None = None,
) -> Outcome:
    """Run a program behind the strongest wall (or the one given) and say how it ended.

    It sees the Python installation, the system's libraries and what is named here; no network, no secrets, an
    environment of its own. Its whole family is ended with it. A crash, a timeout or a broken limit is an outcome;
    ToolError ``no_sandbox`` (permanent) where the machine has no wall, ``sandbox_failed`` where building it failed.
    """
    wall = wall or _strongest_or_refuse()
    with ExitStack() as stack:
        if wall.kind == "landlock":  # the only wall without a /tmp of its own
            writable = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-"))), *writable]
        program = Program(argv, readable, writable, limits, env, cwd)
        kind = wall.kind
        return execute(
            lambda report, lifeline: command_line(kind, program, report=report, lifeline=lifeline),
            limits=limits,
            stdin=stdin,
        )


def command(
    argv: Sequence[str | Path],
    *,
    readable: Sequence[Path],
    writable: Sequence[Path],
    limits: Limits,
    env: Mapping[str, str],
    network_fds: Sequence[int],
    cwd: Path | None = None,
    grace: float = 0.0,
    report: int | None = None,
    lifeline: int | None = None,
    wall: Wall | None = None,
) -> list[str]:
    """The command line that keeps a server behind the strongest wall; start it in a session of its own.

    ``network_fds`` are listening sockets it inherits: it can accept on them, and open no other. One line of JSON
    on descriptor ``report`` tells how it ended; when ``lifeline`` breaks it gets SIGTERM, and SIGKILL ``grace``
    seconds later. ToolError ``no_sandbox`` as for ``run``, unless ``wall=UNWALLED`` asks for limits alone.
    """
    wall = wall or _strongest_or_refuse()
    program = Program(argv, readable, writable, limits, env, cwd, network_fds, grace, is_server=True)
    return command_line(wall.kind, program, report=report, lifeline=lifeline)


def _strongest_or_refuse() -> Wall:
    wall = strongest()
    if wall is None:
        text = gettext_noop(
            "This machine offers no sandbox, so code from outside is not run on it. Install bubblewrap, allow user"
            " namespaces, or use a Linux kernel with Landlock (5.13 or newer)."
        )
        raise ToolError(Message(text), kind="no_sandbox", permanent=True)
    return wall
