"""The end of a log file, and keeping the file short while somebody goes on writing to it."""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

LONGEST = 10 << 20  # of a log, before its older part goes
_TAIL = 1 << 20
_LINE = 2000  # characters


def last_lines(path: Path, lines: int, since: float = 0.0) -> list[str]:
    """The last lines, oldest first, made safe to show; a line without a time belongs to the one before it."""
    shorten(path)
    found = _tail(path)
    if since:
        found = _since(found, since)
    return found[-lines:] if lines > 0 else []


def shorten(path: Path) -> None:
    """Move a log that has become too long aside and empty it in place: its writer appends and does not notice.

    A line written in between is lost, which for a log is cheaper than stopping its writer.
    """
    try:
        if path.stat().st_size > LONGEST:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except FileNotFoundError:
        return


def clean(line: str) -> str:
    """What a replica writes is its own affair; control characters in it are not."""
    return "".join(each if each.isprintable() or each == "\t" else "�" for each in line[:_LINE])


def _tail(path: Path) -> list[str]:
    data, is_cut = b"", False
    for part in (path, path.with_name(f"{path.name}.1")):
        try:
            with part.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(max(0, size - (_TAIL - len(data))))
                data, is_cut = file.read(_TAIL) + data, start > 0
        except FileNotFoundError:
            continue
    found = data.decode(errors="replace").splitlines()
    return [clean(line) for line in (found[1:] if is_cut else found)]


def _since(lines: list[str], since: float) -> list[str]:
    kept, is_new = [], False
    for line in lines:
        at = _time_of(line)
        is_new = at >= since if at is not None else is_new
        if is_new:
            kept.append(line)
    return kept


def _time_of(line: str) -> float | None:
    try:
        return datetime.fromisoformat(json.loads(line)["at"]).timestamp()
    except (ValueError, TypeError, KeyError):
        return None
