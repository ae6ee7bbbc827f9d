"""Tier 2: what an exception can cover, and that it opens exactly that and nothing else."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBClassifier

from tests.worker.inspection import malice, zoo
from tests.worker.inspection.examining import Report, examined
from worker import sandbox
from worker.inspection import allowlist, exceptional, intake, probing, serving
from worker.runtime.errors import StartError
from worker.runtime.loaders import pickled_estimator
from worker.runtime.manifest import Manifest, Signature
from worker.runtime.tensors import Tensor
from worker.specs import SourceFile

needs_sandbox = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


@pytest.fixture(scope="module")
def booster() -> BaseEstimator:
    """scikit-learn's face of XGBoost, whose pickle is not on the list and cannot be converted."""
    return XGBClassifier(n_estimators=3, n_jobs=1).fit(zoo.X, zoo.Y)


@pytest.fixture(scope="module")
def wanted(booster: BaseEstimator, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The names that its refusal offers to ask for."""
    report = examined(tmp_path_factory.mktemp("refused"), {"m.pkl": pickle.dumps(booster)})
    assert report.failed.check == "safety"
    return tuple(report.failed.details["exception"])


def test_a_refusal_lists_every_name_that_an_exception_would_cover(wanted: tuple[str, ...]) -> None:
    assert "xgboost.sklearn:XGBClassifier" in wanted
    assert "xgboost.core:Booster" in wanted
    assert not set(wanted) & {name for name, roles in allowlist.load().items() if len(roles) == 3}
    assert list(wanted) == sorted(wanted)


@needs_sandbox
def test_with_the_exception_it_is_examined_and_served_as_it_came(
    booster: BaseEstimator, wanted: tuple[str, ...], tmp_path: Path
) -> None:
    report = examined(tmp_path, {"m.pkl": pickle.dumps(booster)}, excepted=wanted)
    verdict = report.verdict
    assert verdict.accepted, _told(report)
    assert (verdict.tier, verdict.served_format, verdict.served_name) == (2, "pickle", "model.pickle")
    assert set(wanted) <= set(verdict.trusted)
    assert {name.partition("==")[0] for name in verdict.requirements} >= {"scikit-learn", "joblib"}
    assert any(name.startswith("xgboost") for name in verdict.requirements)
    assert report.checks["safety"].details["granted"] == list(wanted)
    assert verdict.served_path
    assert verdict.signature
    manifest = Manifest(
        *("m", "1", "", "pickle", verdict.served_path, ""),
        Signature(_tensors(verdict.signature.inputs), _tensors(verdict.signature.outputs)),
        trusted=verdict.trusted,
    )
    label, probabilities = pickled_estimator.load(manifest, 1).run([zoo.X.astype(np.float32)])
    assert label.tolist() == booster.predict(zoo.X).tolist()
    assert probabilities == pytest.approx(booster.predict_proba(zoo.X))
    with pytest.raises(StartError, match="no exception"):
        pickled_estimator.load(dataclasses.replace(manifest, trusted=wanted[:1]), 1)


def _told(report: Report) -> str:
    return "; ".join(f"{e.check}: {e.reason} {dict(e.details)}" for e in report.checks.values() if e.state == "failed")


def _tensors(tensors: tuple) -> tuple[Tensor, ...]:
    return tuple(Tensor(t.name, t.datatype, t.shape) for t in tensors)


def test_a_name_less_than_it_needs_is_a_refusal(
    booster: BaseEstimator, wanted: tuple[str, ...], tmp_path: Path
) -> None:
    report = examined(tmp_path, {"m.pkl": pickle.dumps(booster)}, excepted=wanted[1:])
    assert report.failed.check == "safety"


def test_an_exception_for_other_names_opens_nothing(tmp_path: Path) -> None:
    data = malice.whole(malice.call("os", "system", "true"))
    report = examined(tmp_path, {"m.pkl": data}, excepted=("os:system", "xgboost.core:Booster"))
    assert report.failed.check == "safety"
    assert "exception" not in report.failed.details


def test_what_runs_reads_or_fetches_is_never_on_offer() -> None:
    offered = [name for name in malice.GADGETS if exceptional.can_cover(name)]
    classifiers = ["xgboost.sklearn:XGBClassifier", "lightgbm.sklearn:LGBMClassifier"]
    assert offered == ["functools:partial", "sklearn.base:clone", *classifiers]
    hidden = malice.whole(malice.estimator() + b"}" + malice.text("a") + malice.call("os", "system", "true") + b"sb")
    assert exceptional.names_beyond(hidden) == ()


def test_a_crafted_stream_has_no_exception() -> None:
    """Even where its names could be granted: the machine refuses the stream itself."""
    crafted = malice.whole(malice.name("xgboost.core", "Booster") + b")\x81}b}b")
    assert exceptional.names_beyond(crafted) == ()


@needs_sandbox
def test_a_model_that_converts_is_served_as_onnx_and_stays_of_tier_2(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(), LogisticRegression(max_iter=300)).fit(zoo.X, zoo.Y)
    model.note = np.float64  # a name that is on the list; the next is not
    model.range = range
    data = pickle.dumps(model)
    names = exceptional.names_beyond(data)
    assert names == ("builtins:range",)
    verdict = examined(tmp_path, {"m.pkl": data}, excepted=names).verdict
    assert (verdict.accepted, verdict.tier, verdict.served_format) == (True, 2, "onnx")


def test_without_an_exception_a_pickle_is_never_served_whatever_a_probe_reports(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression()))
    found = intake.take_in((SourceFile(path, "m.pkl", "", path.stat().st_size),), tmp_path, 1 << 30)
    with pytest.raises(probing.Garbled):
        serving.choose(found, {"served": "pickle", "file": ""}, tmp_path)


def test_without_a_sandbox_an_exception_opens_nothing(
    booster: BaseEstimator, wanted: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "strongest", lambda: None)
    report = examined(tmp_path, {"m.pkl": pickle.dumps(booster)}, excepted=wanted)
    assert report.failed.check == "sandbox"
