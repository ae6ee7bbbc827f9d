"""Writes the command line that puts a program behind one kind of wall."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from worker.sandbox.values import Limits

KINDS = ("bubblewrap", "namespaces", "landlock")  # strongest first; "none" is limits and warden only

_HERE = Path(__file__).resolve().parent
_PYTHON = os.path.realpath(sys.executable)  # not the virtual environment's link: the launcher needs no packages
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from launcher.main import main; main()"
_SYSTEM = (
    "/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives",
    "/sys/devices/system/cpu",
)  # fmt: skip
_SCRATCH_BYTES = 256 << 20  # of /tmp behind the wall, which is memory
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Program:
    """What runs behind the wall, and what it may see."""

    argv: Sequence[str | Path]
    readable: Sequence[Path] = ()
    writable: Sequence[Path] = ()
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    keep: Sequence[int] = ()  # inherited descriptors it may use
    grace: float = 0.0  # seconds between SIGTERM and SIGKILL once its lifeline is cut
    is_server: bool = False  # long-lived: limit resident memory, not address space; look less often


def command_line(kind: str, program: Program, *, report: int | None = None, lifeline: int | None = None) -> list[str]:
    """The command line of ``program`` behind a wall of ``kind``; report and lifeline are the warden's descriptors."""
    plan = _plan(kind, program) | {"report": report, "lifeline": lifeline}
    inner = [_PYTHON, "-I", "-S", "-c", _BOOT, str(_HERE), json.dumps(plan)]
    return _bubblewrap(plan) + inner if kind == "bubblewrap" else inner


def _plan(kind: str, program: Program) -> dict[str, Any]:
    argv = [str(part) for part in program.argv]
    scratch = "/tmp" if kind != "landlock" or not program.writable else str(program.writable[0])
    return {
        "wall": kind,
        "argv": argv,
        "env": _environment(scratch) | dict(program.env),
        "cwd": str(program.cwd or scratch),
        "readable": _places([*_SYSTEM, *_python_folders(argv[0]), str(_HERE / "launcher"), *program.readable]),
        "writable": _places(program.writable),
        "limits": asdict(program.limits),
        "scratch_bytes": min(program.limits.file_bytes, _SCRATCH_BYTES),
        "keep": list(program.keep),
        "grace": program.grace,
        "strict_memory": not program.is_server,
        "watch_ms": 250 if program.is_server else 50,
    }


def _environment(scratch: str) -> dict[str, str]:
    """A clean environment: nothing of the worker's own, which may hold secrets."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONDONTWRITEBYTECODE": "1",
        **_ONE_THREAD,
    }


def _python_folders(program: str) -> list[str]:
    """The interpreter's installation, and our virtual environment where the program is started from it."""
    return [sys.base_prefix, *([sys.prefix] if program.startswith(sys.prefix + os.sep) else [])]


def _places(paths: Sequence[str | Path]) -> list[list[str]]:
    """Pairs of real path and place. A linked path shows up under both names, so that links inside keep working."""
    pairs: dict[str, str] = {}
    for path in map(os.path.abspath, paths):
        source = os.path.realpath(path)
        if os.path.exists(source):
            pairs |= {path: source, source: source}
    return [[source, place] for place, source in pairs.items()]


def _bubblewrap(plan: Mapping[str, Any]) -> list[str]:
    binds = [(*pair, "--ro-bind") for pair in plan["readable"]] + [(*pair, "--bind") for pair in plan["writable"]]
    words = [
        "bwrap", "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL",
        "--die-with-parent", "--as-pid-1", "--hostname", "sandbox", "--clearenv", "--proc", "/proc",
        "--dev", "/dev", "--remount-ro", "/dev", "--size", str(64 << 20), "--tmpfs", "/dev/shm",
        "--size", str(plan["scratch_bytes"]), "--tmpfs", "/tmp",
    ]  # fmt: skip
    for source, place, verb in sorted(binds, key=lambda each: each[1].count("/")):
        words += [verb, source, place]
    return [*words, "--remount-ro", "/", "--"]
