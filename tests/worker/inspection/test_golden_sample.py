"""The golden sample is kept whole, or as one row; where even that is too long, the check says so."""

from pathlib import Path

import pytest

from tests.worker.inspection.examining import examined
from tests.worker.inspection.near import unwalled
from tests.worker.inspection.test_formats import graph
from worker.inspection.probes import reporting

ROWS = [round(index / 7, 4) for index in range(160)]
EXAMPLE = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [40, 4], "data": ROWS}]}


def test_a_sample_that_is_too_long_is_kept_as_its_first_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "GOLDEN", 300)
    with unwalled():
        report = examined(tmp_path, {"m.onnx": graph()}, example=EXAMPLE)
    golden = report.verdict.golden
    assert golden["request"]["inputs"][0]["shape"] == [1, 4]
    assert golden["request"]["inputs"][0]["data"] == pytest.approx(ROWS[:4])
    assert golden["response"]["outputs"][0]["data"] == pytest.approx(ROWS[:3])
    assert report.checks["profile"].state == "passed"


def test_a_row_that_is_too_long_leaves_no_sample_and_the_check_says_what_that_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "GOLDEN", 20)
    with unwalled():
        report = examined(tmp_path, {"m.onnx": graph()}, example=EXAMPLE)
    assert report.verdict.accepted
    assert report.verdict.golden == {}
    assert report.checks["profile"].state == "warned"
    assert "is not compared" in str(report.checks["profile"].reason)
    assert report.checks["profile"].advice
