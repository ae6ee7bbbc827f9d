"""Runs a probe behind a wall and reads along what it reports, believing no more than its shape."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.sandbox import Limits, Outcome, Wall

REPORT_BYTES = 12 << 20  # the longest golden sample with its answer, and the rest
DEPTH = 12
STATES = frozenset({"running", "passed", "warned", "failed"})

_PROBES = Path(__file__).with_name("probes")
_PACKAGE = Path(__file__).resolve().parents[1]
_POLL = 0.05


@dataclass(frozen=True)
class Event:
    """One line of a probe's report."""

    check: str
    state: str
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Garbled(Exception):
    """The report is not what our probes write."""


def run(
    probe: str,
    request: Mapping[str, Any],
    folder: Path,
    readable: Sequence[Path],
    limits: Limits,
    wall: Wall,
    environment: Path | None = None,
) -> Iterator[Event | Outcome]:
    """The probe's events as they come, and at last how it ended. ``folder`` is the only place it can write to.

    ``environment`` is a virtual environment to run in instead of ours.
    """
    report = folder / f"{probe}.jsonl"
    descriptor = os.open(report, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    python = str(environment / "bin" / "python") if environment else sys.executable
    argv = [python, "-I", str(_PROBES), probe]
    readable = [_PACKAGE, *readable, *([environment] if environment else [])]
    stdin = json.dumps({**request, "events": str(report), "folder": str(folder)}).encode()
    with open(descriptor, "rb", buffering=0) as lines, ThreadPoolExecutor(1) as pool:
        future: Future[Outcome] = pool.submit(
            sandbox.run, argv, readable=readable, writable=[folder], limits=limits, stdin=stdin, wall=wall
        )
        text = b""
        is_over = False
        while not is_over:
            is_over = bool(wait([future], _POLL).done)
            text += lines.read(REPORT_BYTES + 1 - lines.tell()) or b""
            if lines.tell() > REPORT_BYTES:
                raise Garbled("too long")
            *whole, text = text.split(b"\n")
            yield from map(parse, whole)
        yield future.result()


def parse(line: bytes) -> Event:
    """One event, strictly: known keys, known states, finite numbers, no deep nesting."""
    try:
        data = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Garbled("not JSON") from error
    if not isinstance(data, dict) or not set(data) <= {"check", "state", "code", "facts", "seconds"} or _is_deep(data):
        raise Garbled("not an event")
    event = Event(**{"check": "", "state": "", **data})
    texts = (event.check, event.state, event.code)
    if not all(isinstance(text, str) and len(text) < 40 for text in texts) or event.state not in STATES:
        raise Garbled("not an event")
    if not isinstance(event.facts, dict) or not isinstance(event.seconds, int | float):
        raise Garbled("not an event")
    return event


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return bool(level)
