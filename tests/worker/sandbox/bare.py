"""A program that gives up every way to a wall, as on a machine that has none, and examines two files then.

Run with the folder to work in; prints what it saw as JSON. The kernel refuses new namespaces, Landlock and mounts to
this process and all that it starts: Bubblewrap may be installed and cannot work either.
"""

import ctypes
import errno
import json
import platform
import struct
import sys
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.errors import ToolError
from worker.inspection import examine
from worker.sandbox.launcher import libc, seccomp
from worker.specs import Evidence, ExamineSpec, SourceFile

NO_NEW_PRIVILEGES = 38
NAMESPACES = 0x7E020080  # all of CLONE_NEW…
CALLS = {"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "landlock_create_ruleset": (444, 444)}
CLONE, CLONE3 = (56, 220), (435, 435)


def main() -> None:
    folder = Path(sys.argv[1])
    give_up_walls()
    seen = {"walls": [wall.kind for wall in sandbox.available()], "run": run_outright(folder / "ran")}
    print(json.dumps(seen | {path.name: look_into(path, folder) for path in sorted(folder.glob("model.*"))}))


def give_up_walls() -> None:
    column = ("x86_64", "aarch64").index(platform.machine())
    code = [seccomp._step(seccomp._LOAD, seccomp._NUMBER_OFFSET)]
    for pair in CALLS.values():
        code += seccomp._refuse(pair[column], errno.EPERM)
    code += seccomp._refuse(CLONE3[column], errno.ENOSYS)
    code += seccomp._refuse_by(CLONE[column], 0, seccomp._step(seccomp._ANY_BIT, NAMESPACES, 0, 1))
    steps = b"".join([*code, seccomp._end(seccomp._ALLOW)])
    instructions = ctypes.create_string_buffer(steps, len(steps))
    packed = struct.pack("@HP", len(steps) // 8, ctypes.addressof(instructions))
    filter_ = ctypes.create_string_buffer(packed, len(packed))
    libc.prctl(NO_NEW_PRIVILEGES, 1)
    libc.prctl(seccomp._PR_SET_SECCOMP, seccomp._FILTER_MODE, ctypes.addressof(filter_))


def run_outright(marker: Path) -> str:
    """The kind of the refusal to run a program that would leave a mark."""
    try:
        sandbox.run([sys.executable, "-c", f"open({str(marker)!r}, 'w')"], writable=[marker.parent])
    except ToolError as error:
        return error.kind
    return "ran"


def look_into(path: Path, folder: Path) -> dict[str, Any]:
    """The state and the reason of each check of an examination."""
    scratch = folder / f"scratch-{path.suffix[1:]}"
    scratch.mkdir()
    source = SourceFile(path, path.name, "0" * 64, path.stat().st_size)
    findings = list(examine(ExamineSpec((source,), scratch)))
    checks = [each for each in findings if isinstance(each, Evidence) and each.state != "running"]
    return {each.check: [each.state, str(each.reason or "")] for each in checks}


if __name__ == "__main__":
    main()
