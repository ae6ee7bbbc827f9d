"""A conversion is compared with its original on every path, and one that differs is never served.

The converters are made to convert another model than the one that was uploaded: a real graph with other answers.
"""

import pickle
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression

from tests.worker.inspection import zoo
from tests.worker.inspection.examining import Report, examined
from tests.worker.inspection.near import unwalled
from worker.inspection.probes import booster_conversion, estimator_conversion, parity, skops_models
from worker.inspection.probes.estimators import Estimator

EIGHT = {"a": np.arange(8.0), "b": np.ones((8, 2))}


def examine(folder: Path, upload: bytes) -> Report:
    with unwalled():
        return examined(folder, {"model": upload})


def assert_served_natively(report: Report, form: str) -> None:
    evidence = report.checks["convert"]
    assert (report.verdict.accepted, report.verdict.served_format, evidence.state) == (True, form, "warned")
    assert "answers differently (up to 0." in str(evidence.reason)
    assert "in probabilities)" in str(evidence.reason) or "in label)" in str(evidence.reason)
    assert not evidence.details["onnx_parity"]["passed"]


def test_a_wrong_conversion_of_scikit_learn_leaves_skops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, other = estimator_conversion.convert, LogisticRegression(C=0.01).fit(zoo.X, zoo.Y)

    def convert(model: Estimator, *arguments: Any, **options: Any) -> None:
        wrong = Estimator(other)
        wrong.learn_inputs()
        real(wrong, *arguments, **options)

    monkeypatch.setattr(estimator_conversion, "convert", convert)
    report = examine(tmp_path, pickle.dumps(LogisticRegression(max_iter=500).fit(zoo.X, zoo.Y)))
    assert_served_natively(report, "skops")
    assert report.verdict.parity["max_abs_diff"] <= 1e-6


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_wrong_conversion_of_a_booster_leaves_its_own_format(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(rounds: int) -> Any:
        if library == "xgboost":
            parameters = {"objective": "binary:logistic", "nthread": 1}
            return xgboost.train(parameters, xgboost.DMatrix(zoo.X, zoo.Y % 2), rounds)
        parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
        return lightgbm.train(parameters, lightgbm.Dataset(zoo.X, zoo.Y % 2), rounds)

    real, other, booster = booster_conversion.convert, train(2), train(5)

    def convert(model: Any, *arguments: Any) -> None:
        monkeypatch.setattr(model, "booster", other)
        real(model, *arguments)

    monkeypatch.setattr(booster_conversion, "convert", convert)
    upload = bytes(booster.save_raw("json")) if library == "xgboost" else booster.model_to_string().encode()
    assert_served_natively(examine(tmp_path, upload), library)


def test_a_native_form_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, other = skops_models.save, LogisticRegression(C=0.01).fit(zoo.X, zoo.Y)
    monkeypatch.setattr(skops_models, "save", lambda model, path: real(other, path))
    monkeypatch.setattr(estimator_conversion, "convert", None)
    report = examine(tmp_path, pickle.dumps(LogisticRegression(max_iter=500).fit(zoo.X, zoo.Y)))
    assert report.failed.check == "convert"
    assert "Saved as skops and loaded again it answers differently" in str(report.failed.reason)


def test_the_worst_deviation_is_told_with_its_place() -> None:
    found = parity.compare(EIGHT, {"a": EIGHT["a"] + 1e-6, "b": EIGHT["b"] + np.eye(8)[:, 3:5] * 1e-5})
    assert found["passed"]
    assert found["max_abs_diff"] == pytest.approx(1e-5)
    assert (found["where"], found["row"], found["samples"]) == ("b", 3, 8)


def test_an_output_that_is_missing_and_a_number_that_is_absent_fail() -> None:
    assert parity.compare(EIGHT, {"a": EIGHT["a"]})["missing"] == "b"
    absent = parity.compare(EIGHT, {**EIGHT, "a": np.where(EIGHT["a"] == 5, np.nan, EIGHT["a"])})
    assert (absent["passed"], absent["where"], absent["row"]) == (False, "a", 5)


def test_labels_may_differ_where_two_classes_are_equal_and_that_is_counted() -> None:
    labels = {"label": np.array(["x", "y", "x"], dtype=object)}
    other = {"label": np.array(["x", "x", "x"], dtype=object)}
    margins = np.array([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]])
    assert parity.compare(labels, other)["where"] == "label"
    tied = parity.compare(labels, other, margins)
    assert (tied["passed"], tied["ties"], tied["label_agreement"]) == (True, 1, 1.0)
