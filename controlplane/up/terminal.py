"""What a person sees while Slipway runs: calm lines of our own, and from the logs what is worth a look."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

LOUD = {"warning", "error", "critical"}
UNINTERESTING = re.compile(r"\[(INFO|DEBUG)\]|^\s|^$|^Traceback |^(During|The above exception) ")  # frames: in the log
PREFIX = re.compile(r"^\[[^]]+\] \[\d+\] ")  # gunicorn's time and process
SAME_AGAIN_SECONDS = 60
FRAME_KEYS = {"event", "level", "logger", "timestamp", "exception", "request_id", "lineno", "filename"}


def say(line: str) -> None:
    print(line, flush=True)


class Tail:
    """The lines that were added to a log file since the last look; survives the file's rotation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0

    def read(self) -> Iterator[str]:
        if not self.path.exists():
            return
        if self.path.stat().st_size < self.offset:
            self.offset = 0
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # the rest of it comes with the next look
                self.offset += len(line)
                yield line.decode(errors="replace").rstrip()


def pick(line: str) -> str:
    """The line for a terminal when it is a warning or worse, or nothing that we understand; otherwise empty."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "" if UNINTERESTING.search(line) else PREFIX.sub("", line)
    if not isinstance(entry, dict):
        return line
    if entry.get("level") not in LOUD:
        return ""
    facts = " ".join(f"{key}={value}" for key, value in entry.items() if key not in FRAME_KEYS)
    cause = entry.get("exception", "").strip().rpartition("\n")[2]
    return " · ".join(part for part in (f"{entry['level']}: {entry.get('event', '')}", facts, cause) if part)


class Screen:
    """Prints a line of a log, but not the same one again within a minute: the log has them all."""

    def __init__(self) -> None:
        self.shown: dict[str, float] = {}

    def show(self, line: str) -> None:
        now = time.monotonic()
        self.shown = {text: at for text, at in self.shown.items() if now - at < SAME_AGAIN_SECONDS}
        if line not in self.shown:
            self.shown[line] = now
            say(line)
