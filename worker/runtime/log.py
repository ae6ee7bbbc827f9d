"""One line of JSON for each event, on standard output. There is no access log: metrics count requests."""

import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

_DELETE = str.maketrans({"\x7f": "\\u007f"})


def write_log(event: str, level: str = "info", **details: Any) -> None:
    """Write one line; what is not visible ASCII goes out escaped, so that no value can forge a line or a colour."""
    record = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **details}
    with suppress(OSError):  # whoever read the log may be gone, and requests matter more
        sys.stdout.write(json.dumps(record, default=str).translate(_DELETE) + "\n")
        sys.stdout.flush()


class Throttle:
    """Writes at most one line a second, with the number left out before it: a failing model must not fill a disk."""

    def __init__(self) -> None:
        self._next = 0.0
        self._omitted = 0

    def write_log(self, event: str, level: str, **details: Any) -> None:
        now = time.monotonic()
        if now < self._next:
            self._omitted += 1
            return
        write_log(event, level, omitted=self._omitted, **details)
        self._next = now + 1.0
        self._omitted = 0


def first_line(error: BaseException, longest: int = 300) -> str:
    """What an exception says, short enough for one line: never its trace."""
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[0]
    return line if len(line) <= longest else line[:longest] + "…"
