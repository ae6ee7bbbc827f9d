"""What a person at the terminal sees of the logs: warnings, the ends of parts, and what the demonstration says."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from controlplane.up.parts import Part
from controlplane.up.supervision import read_end

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


def pick(line: str, *, is_for_people: bool = False) -> str:
    """The line for a terminal when it is a warning or worse, or no log entry at all; otherwise empty.

    A part that writes for people has all its plain lines passed on; of others, not the frames of tracebacks.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return line if is_for_people else "" if UNINTERESTING.search(line) else PREFIX.sub("", line)
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


class Logs:
    """Everything that the parts and their supervisor write, as far as it concerns a person."""

    def __init__(self, folder: Path, parts: list[Part]) -> None:
        self.tails = {part: Tail(folder / f"{part.name}.log") for part in parts}
        self.supervisor = Tail(folder / "supervisor.log")
        self.screen = Screen()
        self.ready_words: set[Part] = set()
        self.ends: Counter[str] = Counter()

    def show(self) -> None:
        """Print what is new, and note which parts have said that they are ready, and which have ended."""
        for part, tail in self.tails.items():
            for line in tail.read():
                if part.ready_word and part.ready_word in line:
                    self.ready_words.add(part)
                self._show_line(part, line)
        for line in self.supervisor.read():
            if end := read_end(line):
                self.ends[end.part] += 1
                say(f"{end.part:8} ended ({end.reason}) and is started again")

    def _show_line(self, part: Part, line: str) -> None:
        text = pick(line, is_for_people=part.is_one_shot)
        if text and part.is_one_shot:
            say(text)
        elif text:
            self.screen.show(f"{part.name:8} {text}")
