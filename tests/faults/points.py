"""Every place where a process can die.

A process that is killed leaves behind only what it has done to the world outside. So dying before each of these things,
and after the last, is dying anywhere: a statement that writes, a commit, a file made, renamed or removed, a process
started, a connection opened. Django tells of statements; of all else the interpreter tells by itself (PEP 578). The
product needs no line of code for it, and no place can be forgotten.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import connection

Passing = Callable[[str], None]

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = tuple(str(ROOT / room) + "/" for room in ("apps", "worker"))
GROUND = str(ROOT / "apps" / "core") + "/"
PLACES = (*PRODUCT, *(str(ROOT / "tests" / "faults" / file) for file in ("host.py", "naive.py")))
EFFECTS = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
    "shutil.rmtree", "subprocess.Popen", "os.posix_spawn", "os.fork", "os.kill", "socket.connect",
}  # fmt: skip
READING = ("SELECT", "SHOW", "SET ")


def watch(passing: Passing) -> None:
    """Call ``passing`` with the name of each point just before this process goes past it, for the rest of its life."""
    connection.execute_wrappers.append(lambda run, sql, *rest: (_statement(passing, sql), run(sql, *rest))[1])
    commit = connection.commit

    def commit_and_tell() -> None:
        _tell(passing, "COMMIT")
        commit()
        _tell(passing, "committed")

    connection.commit = commit_and_tell  # type: ignore[method-assign]
    sys.addaudithook(lambda event, args: _event(passing, event, args))


def _statement(passing: Passing, sql: str) -> None:
    if not sql.startswith(READING):
        words = [word.strip('"') for word in sql.split()[:3]]
        names_a_table = words[0] in ("INSERT", "DELETE")  # and a savepoint has another name each time
        _tell(passing, " ".join(words if names_a_table else words[: 1 + (words[0] == "UPDATE")]))


def _event(passing: Passing, event: str, args: tuple[Any, ...]) -> None:
    if event in EFFECTS or (event == "open" and _is_written(args)):
        _tell(passing, event)


def _is_written(args: tuple[Any, ...]) -> bool:
    return isinstance(args[1], str) and any(letter in args[1] for letter in "wax+")


def _tell(passing: Passing, what: str) -> None:
    place = _product_frame(sys._getframe(1))
    if place is not None:
        file = Path(place.f_code.co_filename).relative_to(ROOT).with_suffix("")
        passing(f"{'.'.join(file.parts)}.{place.f_code.co_name}: {what}")


def _product_frame(frame: FrameType | None) -> FrameType | None:
    """Where in the product we are, above its ground; None for what the harness does of its own accord."""
    while frame is not None and not _is_telling(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _is_telling(file: str) -> bool:
    return file.startswith(PLACES) and not file.startswith(GROUND)
