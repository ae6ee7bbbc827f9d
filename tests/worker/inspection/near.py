"""Whole examinations without the sandbox, for many models of our own making in one process: same checks, same probes.

Only ``probing.run`` is another one: it calls the probe here instead of starting it behind a wall, which spares each
model the seconds in which libraries are imported.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from worker.inspection import probing
from worker.inspection.probes import examining, profiling
from worker.inspection.probes.reporting import Reporter
from worker.inspection.probing import Event
from worker.sandbox import Outcome

_PROBES = {"examining": examining.examine, "profiling": profiling.profile}


def run(probe: str, request: Mapping[str, Any], folder: Path, *_: Any) -> Iterator[Event | Outcome]:
    """As ``probing.run``, in this process."""
    report, code = folder / f"{probe}.jsonl", 0
    with report.open("a", encoding="utf-8") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _PROBES[probe]({**request, "folder": str(folder)}, Reporter(file))
        except SystemExit as end:
            code = int(end.code or 0)
    yield from map(probing.parse, report.read_bytes().splitlines())
    yield Outcome(code, None, False, 0.0, b"", "", 0, "")


@contextmanager
def unwalled() -> Iterator[None]:
    """Let examinations run their probes here."""
    with patch.object(probing, "run", run), patch.object(profiling, "BUDGET", 0.01):
        yield
