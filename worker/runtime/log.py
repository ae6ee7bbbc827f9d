"""One line of JSON for each event, on standard output. There is no access log: metrics count requests."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

_DELETE = str.maketrans({"\x7f": "\\u007f"})


def write_log(event: str, level: str = "info", **details: Any) -> None:
    """Write one line; what is not visible ASCII goes out escaped, so that no value can forge a line or a colour."""
    record = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **details}
    sys.stdout.write(json.dumps(record, default=str).translate(_DELETE) + "\n")
    sys.stdout.flush()


def first_line(error: BaseException, longest: int = 300) -> str:
    """What an exception says, short enough for one line: never its trace."""
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[0]
    return line if len(line) <= longest else line[:longest] + "…"
