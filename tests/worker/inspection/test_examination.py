"""Whole examinations of real models in the real sandbox: what is found, what is served, and how failures are told."""

import json
import os
import pickle
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnxruntime
import pytest
import skops.io
import xgboost
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from tests.worker.inspection import zoo
from tests.worker.inspection.examining import Report, examined
from tests.worker.inspection.malice import zipped
from tests.worker.inspection.test_formats import graph
from worker import sandbox
from worker.inspection import examination, intake, probing, serving
from worker.inspection.candidates import Candidate
from worker.sandbox import Limits, Outcome
from worker.specs import ExamineSpec, SourceFile

PASSENGERS = Path(__file__).with_name("data") / "passengers.joblib"
CHECKS = ("content", "safety", "sandbox", "load", "signature", "predict", "convert", "profile")

pytestmark = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


def states(report: Report) -> dict[str, str]:
    return {check: evidence.state for check, evidence in report.checks.items()}


def told(report: Report) -> str:
    """Everything that went wrong, for a failing test to show."""
    return "; ".join(f"{e.check}: {e.reason} {dict(e.details)}" for e in report.checks.values() if e.state == "failed")


def replayed(report: Report) -> None:
    """The golden sample, asked of the file to serve, gives the golden answer."""
    verdict = report.verdict
    assert verdict.served_path
    session = onnxruntime.InferenceSession(str(verdict.served_path))
    kinds: dict[str, Any] = {"FP32": np.float32, "INT64": np.int64, "BYTES": object}
    fed = {
        item["name"]: np.array(item["data"], dtype=kinds[item["datatype"]]).reshape(item["shape"])
        for item in verdict.golden["request"]["inputs"]
    }
    names = [item["name"] for item in verdict.golden["response"]["outputs"]]
    for item, answer in zip(verdict.golden["response"]["outputs"], session.run(names, fed), strict=True):
        assert item["data"] == pytest.approx(answer.ravel().tolist(), rel=1e-6)


def test_a_joblib_model_is_converted_and_served_as_onnx(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(zoo.X, zoo.Y)
    joblib.dump(model, tmp_path / "m", compress=3)
    report = examined(tmp_path, {"model.bin": tmp_path / "m", "README.md": b"# Irises", "labels.txt": b"a\nb\nc\n"})
    verdict = report.verdict
    assert states(report) == dict.fromkeys(CHECKS, "passed"), told(report)
    assert (verdict.format, verdict.framework, verdict.tier) == ("sklearn", "scikit-learn", 1)
    assert (verdict.served_format, verdict.served_name) == ("onnx", "model.onnx")
    assert verdict.signature
    assert verdict.signature.to_json() == {
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    assert verdict.requirements == (f"onnxruntime=={onnxruntime.__version__}",)
    assert verdict.labels == ("a", "b", "c")
    assert verdict.parity["passed"]
    assert verdict.parity["samples"] >= 64
    assert verdict.profile["latency_ms"].keys() == {"p50", "p99", "batch_8", "batch_32"}
    assert verdict.profile["memory_bytes"] > 1_000_000
    assert report.checks["sandbox"].details["wall"] in ("bubblewrap", "namespaces", "landlock")
    replayed(report)


def test_every_check_ticks_first_as_running(tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.onnx": graph()})
    assert report.order == [(check, state) for check in CHECKS for state in ("running", "passed")], told(report)


def test_onnx_is_served_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(graph())
    report = examined(tmp_path, {"m.onnx": tmp_path / "m.onnx"})
    assert report.verdict.served_path == tmp_path / "m.onnx"
    assert (report.verdict.framework, report.verdict.framework_version, report.verdict.tier) == ("pytorch", "2.9", 0)
    replayed(report)


def test_the_users_example_is_used_and_a_wrong_one_is_only_a_warning(tmp_path: Path) -> None:
    good = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    report = examined(tmp_path, {"m.onnx": graph()}, example=good)
    assert report.verdict.golden["request"]["inputs"][0]["data"] == [1, 2, 3, 4]
    bad = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 5], "data": [1, 2, 3, 4, 5]}]}
    report = examined(tmp_path, {"m.onnx": graph()}, example=bad)
    assert report.checks["predict"].state == "warned"
    assert "[1, 5]" in str(report.checks["predict"].reason)
    assert report.verdict.accepted


def test_a_pipeline_over_a_table_of_pandas_takes_its_columns_by_name(tmp_path: Path) -> None:
    report = examined(tmp_path, {"passengers.joblib": PASSENGERS})
    assert report.verdict.accepted, told(report)
    assert report.verdict.served_format == "onnx"
    assert report.verdict.signature
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in report.verdict.signature.inputs] == [
        ("age", "FP32", (-1, 1)),
        ("fare", "FP32", (-1, 1)),
        ("sex", "BYTES", (-1, 1)),
        ("port of call", "BYTES", (-1, 1)),
    ]
    replayed(report)


def test_a_search_over_mixed_columns_is_served_as_onnx(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(zoo.mixed_pipeline(LogisticRegression()), {"model__C": [0.1, 1.0]}, cv=2)
        search.fit(zoo.mixed_table(), ["no", "yes"] * 30)
    report = examined(tmp_path, {"search.pkl": pickle.dumps(search, protocol=2)})
    assert report.verdict.accepted, told(report)
    assert report.verdict.served_format == "onnx"
    assert report.verdict.labels == ("no", "yes")


def test_histogram_trees_answer_the_same_on_their_very_thresholds(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(zoo.X, zoo.Y)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(model)})
    assert report.verdict.served_format == "onnx", told(report)
    assert report.verdict.parity["label_agreement"] == 1.0


def test_what_cannot_be_converted_is_served_as_skops_with_our_list_of_trusted_types(tmp_path: Path) -> None:
    model = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1).fit(zoo.XR, zoo.YR)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(model)})
    verdict = report.verdict
    assert report.checks["convert"].state == "warned", told(report)
    assert "cannot be converted" in str(report.checks["convert"].reason)
    assert (verdict.served_format, verdict.served_name) == ("skops", "model.skops")
    assert {name.partition("==")[0] for name in verdict.requirements} == {"scikit-learn", "skops"}
    assert verdict.served_path
    again = skops.io.load(verdict.served_path, trusted=list(verdict.trusted))
    assert again.predict(zoo.XR) == pytest.approx(model.predict(zoo.XR))


def test_a_skops_upload_is_tier_0(tmp_path: Path) -> None:
    skops.io.dump(RandomForestClassifier(5, random_state=0).fit(zoo.X, zoo.WORDS), tmp_path / "m")
    report = examined(tmp_path, {"forest.skops": tmp_path / "m"})
    assert report.verdict.accepted, told(report)
    assert (report.verdict.tier, report.verdict.served_format) == (0, "onnx")
    assert report.verdict.labels == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_an_xgboost_model_is_converted(form: str, tmp_path: Path) -> None:
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "nthread": 1}, xgboost.DMatrix(zoo.X, zoo.Y), 5
    )
    booster.save_model(tmp_path / f"m.{form}")
    report = examined(tmp_path, {"anything": tmp_path / f"m.{form}"})
    assert report.verdict.accepted, told(report)
    assert (report.verdict.format, report.verdict.served_format) == ("xgboost", "onnx")
    assert report.verdict.signature
    assert [tensor.name for tensor in report.verdict.signature.outputs] == ["label", "probabilities"]


def test_a_booster_that_cannot_be_converted_is_served_in_its_own_format(tmp_path: Path) -> None:
    matrix = xgboost.DMatrix(zoo.X, zoo.Y % 2)
    booster = xgboost.train({"booster": "dart", "objective": "binary:logistic", "nthread": 1}, matrix, 5)
    booster.save_model(tmp_path / "m.json")
    report = examined(tmp_path, {"m.json": tmp_path / "m.json"})
    assert report.verdict.accepted, told(report)
    assert (report.verdict.served_format, report.verdict.served_path) == ("xgboost", tmp_path / "m.json")
    assert report.verdict.requirements[0].startswith("xgboost-cpu==")


def test_a_lightgbm_model_in_an_archive_is_converted(tmp_path: Path) -> None:
    data = lightgbm.Dataset(zoo.X, zoo.Y % 2)
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}, data, 5)
    packed = zipped({"export/model.txt": booster.model_to_string().encode(), "export/labels.json": b'["odd", "even"]'})
    report = examined(tmp_path, {"export.zip": packed})
    assert report.verdict.accepted, told(report)
    assert (report.verdict.format, report.verdict.served_format) == ("lightgbm", "onnx")
    assert report.verdict.labels == ("odd", "even")
    assert all(tensor.shape[0] == -1 for tensor in report.verdict.signature.outputs)  # type: ignore[union-attr]


def test_a_library_that_crashes_is_a_failed_check(tmp_path: Path) -> None:
    """A damaged text file takes LightGBM down with a signal or an error, whichever it likes; both are told."""
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(zoo.X, zoo.Y), 5)
    damaged = booster.model_to_string().replace("num_leaves=", "num_leaves=9", 1)
    report = examined(tmp_path, {"m.txt": damaged.encode()})
    assert not report.verdict.accepted
    assert report.failed.check in ("load", "signature")
    assert str(report.failed.reason)
    assert str(report.failed.advice)


def test_time_and_memory_are_limits_and_not_accidents(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.onnx": graph()}, seconds=0.05)
    assert report.failed.check == "load"
    assert "longer than" in str(report.failed.reason)
    assert "SLIPWAY_EXAMINE_SECONDS" in str(report.failed.advice)
    report = examined(tmp_path, {"m.onnx": graph()}, memory_bytes=64 << 20)
    assert report.failed.check == "load"
    assert "more than 67 MB of memory" in str(report.failed.reason)
    assert "SLIPWAY_EXAMINE_MEMORY_BYTES" in str(report.failed.advice)


def test_limits_grow_with_what_is_opened_but_never_beyond_half_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_MACHINE_BYTES", 16 << 30)
    path = tmp_path / "m.onnx"
    path.touch()

    def limits(size: int) -> Limits:
        os.truncate(path, size)
        examining = examination._Examination(ExamineSpec((), tmp_path))
        examining.found = intake.Intake(Candidate(path, "m.onnx", size, "onnx"))
        return examining._limits

    assert limits(1 << 20) == Limits(memory_bytes=(4 << 30) + (2 << 20))
    assert limits(5 << 30) == Limits(memory_bytes=8 << 30, seconds=360, cpu_seconds=360, file_bytes=10 << 30)


def test_a_graph_that_does_not_fit_together_is_refused_by_the_checker(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.onnx": graph(kind="NoSuchOperator")})
    assert report.failed.check == "load"
    assert "NoSuchOperator" in str(report.failed.reason)


def test_an_unfitted_model_is_told_from_a_fitted_one(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.pkl": pickle.dumps(LogisticRegression())})
    assert report.failed.check == "signature"
    assert "fitted" in str(report.failed.reason)


def test_a_vectoriser_that_would_open_files_is_refused(tmp_path: Path) -> None:
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(zoo.TEXTS, zoo.MOODS)
    model.steps[0][1].input = "filename"
    report = examined(tmp_path, {"m.pkl": pickle.dumps(model)})
    assert report.failed.check == "load"
    assert "read files" in str(report.failed.reason)


def test_text_goes_in_as_text(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(zoo.TEXTS, zoo.MOODS)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(model)})
    assert report.verdict.accepted, told(report)
    assert report.verdict.served_format == "onnx"
    assert report.verdict.signature
    assert (report.verdict.signature.inputs[0].datatype, report.verdict.signature.inputs[0].shape) == ("BYTES", (-1,))


def test_without_a_sandbox_pickles_are_refused_and_the_rest_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "strongest", lambda: None)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(LogisticRegression().fit(zoo.X, zoo.Y))})
    assert report.failed.check == "sandbox"
    assert report.checks["load"].state == "skipped"
    report = examined(tmp_path, {"m.onnx": graph()})
    assert report.verdict.accepted, told(report)
    assert report.checks["sandbox"].state == "warned"


def test_evidence_is_plain_json_and_every_sentence_fills_in(tmp_path: Path) -> None:
    for name, data in (
        ("m.onnx", graph()),
        ("m.pkl", pickle.dumps(LogisticRegression())),
        ("x", random.Random(7).randbytes(500)),
    ):
        for evidence in examined(tmp_path, {name: data}).checks.values():
            json.dumps(dict(evidence.details), allow_nan=False)
            for message in (evidence.summary, evidence.reason, evidence.advice):
                assert message is None or (str(message) and json.dumps(message.to_json()))


def test_a_conversion_that_takes_the_process_down_leaves_the_native_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real probe, whose first run is made to look killed in the middle of converting."""
    real = probing.run

    def killed_once(probe: str, request: dict[str, Any], *rest: Any) -> Iterator[probing.Event | Outcome]:
        for event in real(probe, request, *rest):
            is_first = probe == "examining" and not request.get("is_native")
            if is_first and isinstance(event, probing.Event) and event.check == "convert" and event.state != "running":
                continue
            yield (
                Outcome(None, 9, False, 1.0, b"", "", 0, "memory") if is_first and isinstance(event, Outcome) else event
            )

    monkeypatch.setattr(probing, "run", killed_once)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(LogisticRegression(max_iter=500).fit(zoo.X, zoo.Y))})
    assert report.verdict.accepted, told(report)
    assert report.verdict.served_format == "skops"
    assert report.checks["convert"].state == "warned"
    assert "ended early" in str(report.checks["convert"].reason)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000),
        *(b'{"check": "load"}', b'{"check": "load", "state": "done"}', b'{"state": "passed", "x": 1}'),
        *(
            b'{"check": "load", "state": "passed", "seconds": NaN}',
            b'{"check": "load", "state": "passed", "facts": []}',
        ),
        *(b'{"check": "' + b"x" * 50 + b'", "state": "passed"}', b'{"check": 1, "state": "passed"}'),
        b'{"check": "load", "state": "passed", "facts": {"a": ' + b"[" * 20 + b"]" * 20 + b"}}",
    ],
    ids=range(14),
)
def test_a_report_of_another_shape_is_not_believed(line: bytes) -> None:
    with pytest.raises(probing.Garbled):
        probing.parse(line)


def test_a_link_left_in_place_of_the_converted_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(graph())
    found = intake.take_in((SourceFile(tmp_path / "m.onnx", "m.onnx", "", 1),), tmp_path, 1 << 30)
    (tmp_path / "model.onnx").symlink_to("/etc/passwd")
    with pytest.raises(probing.Garbled):
        serving.choose(found, {"served": "onnx", "file": "model.onnx"}, tmp_path)
