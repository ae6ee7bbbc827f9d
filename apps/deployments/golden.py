"""An answer beside the stored one, output by output."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

TOLERANCE = 1e-4  # relative and absolute, as before a replica gets traffic


@dataclass(frozen=True)
class Gap:
    """How far an output is from the stored one; ``worst`` is infinite where it lacks values or holds others."""

    output: str
    worst: float
    is_same: bool

    @property
    def is_measured(self) -> bool:
        return math.isfinite(self.worst)


def compare_answer(stored: Mapping[str, Any], body: Any) -> list[Gap]:
    """One gap for each stored output."""
    outputs = body.get("outputs", []) if isinstance(body, dict) else []
    found = {output.get("name"): output for output in outputs if isinstance(output, dict)}
    return [_gap(expected, found.get(expected["name"], {})) for expected in stored.get("outputs", [])]


def _gap(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Gap:
    if expected.get("shape") != got.get("shape"):
        return Gap(expected["name"], math.inf, is_same=False)
    pairs = list(zip_longest(_flat(expected["data"]), _flat(got.get("data", []))))
    gaps = [_distance(wanted, value) for wanted, value in pairs]
    close = [
        gap == 0 or (math.isfinite(gap) and gap <= TOLERANCE + TOLERANCE * abs(wanted))
        for gap, (wanted, _value) in zip(gaps, pairs, strict=True)
    ]
    return Gap(expected["name"], max(gaps, default=0.0), is_same=all(close))


def _distance(wanted: Any, value: Any) -> float:
    if wanted == value:
        return 0.0
    are_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (wanted, value))
    return abs(float(wanted) - float(value)) if are_numbers else math.inf


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value
