"""Reads the class names that come beside a model."""

import json
from collections.abc import Iterable
from typing import Any

from worker.inspection.candidates import Candidate
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

LABELS = frozenset({"labels.txt", "labels.json"})
LABELS_BYTES = 1 << 20
LABELS_COUNT = 100_000


def read_labels(others: Iterable[Candidate]) -> tuple[str, ...]:
    """The class names of a labels file: one a line, or a JSON list, or a JSON object from index to name."""
    found = next((c for c in others if c.name.rpartition("/")[2].casefold() in LABELS and c.size <= LABELS_BYTES), None)
    if found is None:
        return ()
    try:
        text = found.path.read_text("utf-8-sig")
        names = _json_labels(json.loads(text)) if found.kind == "json" else [line.strip() for line in text.splitlines()]
    except (ValueError, RecursionError) as error:
        raise _bad_labels(found.name) from error
    while names and not names[-1]:
        names.pop()
    if len(names) > LABELS_COUNT or not all(isinstance(name, str) and len(name) <= 256 for name in names):
        raise _bad_labels(found.name)
    return tuple(names)


def _json_labels(data: Any) -> list[str]:
    if isinstance(data, dict):
        data = [data.get(str(index)) for index in range(len(data))]
    if not isinstance(data, list) or not all(isinstance(name, str | int) for name in data):
        raise ValueError("labels")
    return [str(name) for name in data]


def _bad_labels(name: str) -> Refusal:
    return Refusal(
        Message(gettext_noop("The labels file %(name)s cannot be read."), {"name": name}),
        Message(gettext_noop("Write one class name a line, in UTF-8, or a JSON list of names.")),
    )
