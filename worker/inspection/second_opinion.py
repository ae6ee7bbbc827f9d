"""What somebody else's scanner says of a pickle: shown to reviewers beside our own verdict, and never deciding.

Scanners of this kind look for names that are known to be bad; each has a history of files that slipped past. It is
another program that reads hostile bytes, so it runs in the sandbox, with little memory and time.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.errors import ToolError
from worker.sandbox import Limits

_SCRIPT = Path(__file__).with_name("probes") / "scanning.py"
_LIMITS = Limits(memory_bytes=2 << 30, seconds=20, cpu_seconds=20)
_LARGEST = 512 << 20  # bytes: it reads the file whole
_WORDS = frozenset({"dangerous", "unreadable", "nothing dangerous"})


def ask(path: Path) -> Mapping[str, Any]:
    """``scanner``, ``verdict`` and the names behind it; empty where no sandbox can be had or nothing was answered."""
    wall = sandbox.strongest()
    if wall is None or path.stat().st_size > _LARGEST:
        return {}
    real = path.resolve()
    try:
        outcome = sandbox.run(
            [sys.executable, "-I", _SCRIPT, real], readable=[_SCRIPT, real], limits=_LIMITS, wall=wall
        )
    except ToolError:
        return {}
    return _read(outcome.stdout) if outcome.exit_code == 0 else {}


def _read(answer: bytes) -> Mapping[str, Any]:
    """The answer, as far as it has the shape that our script gives it."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict) or said.get("verdict") not in _WORDS:
        return {}
    opinion: dict[str, Any] = {"scanner": str(said.get("scanner"))[:60], "verdict": said["verdict"]}
    names = said.get("dangerous")
    if isinstance(names, list) and names:
        opinion["dangerous"] = [str(name)[:200] for name in names[:20]]
    return opinion
