"""What verification found, kept outside the database: one JSON line each in ``<data folder>/audit/checkpoints.jsonl``.

Whoever rewrites the database, hashes and all, still meets the hashes noted here. Each process that verifies keeps its
own folder's notes; copy the file away (or print the head) for a witness that shares nothing with this machine.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from apps.audit.verifier import Problem, Verdict


@dataclass(frozen=True)
class Checkpoint:
    """One verification: when, how far the chain held, and what was wrong after that (None: nothing)."""

    at: str
    seq: int
    hash: str
    problem: Problem | None = None

    @property
    def is_whole(self) -> bool:
        return self.problem is None

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


def note(verdict: Verdict) -> Checkpoint:
    """Append what was found and force it to disk."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    checkpoint = Checkpoint(at, verdict.seq, verdict.hash, verdict.problem)
    path = _path()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(path, "a", encoding="utf-8", opener=_private) as file:
        file.write(json.dumps(asdict(checkpoint)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return checkpoint


def latest() -> Checkpoint | None:
    """The last verification noted here, if any."""
    return next(iter(reversed(list(_read()))), None)


def anchors() -> dict[int, str]:
    """Hashes by number as they were when first seen; what later notes say of the same number does not replace them."""
    seen: dict[int, str] = {}
    for checkpoint in _read():
        if checkpoint.seq and not checkpoint.problem:
            seen.setdefault(checkpoint.seq, checkpoint.hash)
    return seen


def _read() -> Iterator[Checkpoint]:
    path = _path()
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # a line without its end was being written when the machine stopped
                yield Checkpoint(**json.loads(line))


def _path() -> Path:
    return Path(settings.SLIPWAY_HOME) / "audit" / "checkpoints.jsonl"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
