"""A replica's kept log lines, cut to a stretch of time. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Kept:
    """The lines of a stretch, and the time of the oldest line that is kept at all; None where no line has a time."""

    lines: list[str]
    oldest: datetime | None


def lines_between(lines: Sequence[str], start: datetime, end: datetime) -> Kept:
    """What was written from ``start`` up to ``end``; a line without a time belongs to the one before it."""
    found: list[str] = []
    at = oldest = None
    for line in lines:
        at = time_of(line) or at
        oldest = oldest or at
        if at is not None and start <= at < end:
            found.append(line)
    return Kept(found, oldest)


def time_of(line: str) -> datetime | None:
    """When our model server wrote a line (its ``at``); None for lines of others."""
    try:
        at = datetime.fromisoformat(json.loads(line)["at"])
    except (ValueError, TypeError, KeyError):
        return None
    return at if at.tzinfo else None
