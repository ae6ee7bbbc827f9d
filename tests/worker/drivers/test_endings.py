"""Why a replica ended, in a word and in sentences: what happened, and then what to do about it."""

import re
from typing import Any

import pytest

from worker.drivers import endings

REPORTS: list[tuple[str, dict[str, Any]]] = [
    ("stopped", {"exit_code": 0}),
    ("refused_model", {"exit_code": 78}),
    ("start_failed", {"trouble": "no space left"}),
    ("out_of_memory", {"exceeded": "memory", "signal": 9}),
    ("too_many_threads", {"exceeded": "processes", "exit_code": 1}),
    ("killed", {}),
    ("killed", {"signal": 15}),
    ("crashed", {"exit_code": 3}),
    ("crashed", {"signal": 11}),
]


@pytest.mark.parametrize(("kind", "report"), REPORTS)
def test_every_ending_comes_with_a_suggestion(kind: str, report: dict[str, Any]) -> None:
    ending = endings.explain(report, ["the last line"])
    assert ending.kind == kind
    happened, *suggested = re.split(r"(?<=\.) ", str(ending.reason))
    assert happened
    assert suggested, "nothing says what to do"


def test_a_deviating_golden_sample_comes_with_a_suggestion_too() -> None:
    reason = endings.mismatch({"output": "label", "how": "is 3 instead of 4"})
    assert "label is 3 instead of 4" in str(reason)
    assert "Examine the version again" in str(reason)
