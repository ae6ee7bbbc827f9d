"""Each format answers what its own library answers."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from tests.runtime import bundles
from tests.runtime.replicas import Replica, start

FEATURES, TARGET = bundles.digits()


def ask(replica: Replica, model: str, **columns: tuple[str, np.ndarray]) -> dict[str, list[Any]]:
    rows = [
        {"name": name, "datatype": datatype, "shape": list(values.shape), "data": _with_nulls(values)}
        for name, (datatype, values) in columns.items()
    ]
    answer = replica.infer(model, {"inputs": rows})
    assert answer.status == 200, answer.body
    return {row["name"]: row["data"] for row in answer.json()["outputs"]}


def _with_nulls(values: np.ndarray) -> list[Any]:
    return [None if value != value else value for value in values.ravel().tolist()]


def test_xgboost_answers_like_the_library_and_takes_missing_values(tmp_path: Path) -> None:
    bundle, booster = bundles.xgboost_bundle(tmp_path / "bundle")
    rows = FEATURES[:6].copy()
    rows[1, 10:40] = np.nan
    with start(bundle) as replica:
        got = ask(replica, "trees", input=("FP32", rows))["output"]
    expected = booster.predict(xgboost.DMatrix(rows))
    np.testing.assert_allclose(np.reshape(got, (6, 10)), expected, rtol=1e-5, atol=1e-6)


def test_lightgbm_answers_like_the_library_and_takes_missing_values(tmp_path: Path) -> None:
    bundle, booster = bundles.lightgbm_bundle(tmp_path / "bundle")
    rows = FEATURES[:6].copy()
    rows[2, 10:40] = np.nan
    with start(bundle) as replica:
        got = ask(replica, "trees", input=("FP32", rows))["output"]
    np.testing.assert_allclose(got, booster.predict(rows.astype(np.float64)), rtol=1e-5)


def test_a_native_forest_gives_labels_and_probabilities(tmp_path: Path) -> None:
    bundle, forest = bundles.sklearn_bundle(tmp_path / "bundle")
    with start(bundle) as replica:
        assert replica.ask("GET", "/v2/models/digits").json()["platform"] == "sklearn_skops"
        got = ask(replica, "digits", input=("FP32", FEATURES[:6]))
        refused = replica.infer(
            "digits", {"inputs": [{"name": "input", "datatype": "FP32", "shape": [0, 64], "data": []}]}
        )
    assert got["label"] == forest.predict(FEATURES[:6]).tolist()
    expected = forest.predict_proba(FEATURES[:6]).ravel()
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-6)
    assert refused.status == 400
    assert "0 sample(s)" in refused.json()["error"]


def test_named_columns_become_one_table(tmp_path: Path) -> None:
    bundle, estimator = bundles.columns_bundle(tmp_path / "bundle")
    height, weight = np.array([1.0, 2.0, 3.0]), np.array([[0.5], [0.0], [-1.0]])
    with start(bundle) as replica:
        got = ask(replica, "line", height=("FP64", height), weight=("FP64", weight))["output"]
    np.testing.assert_allclose(got, estimator.predict(np.column_stack([height, weight])), rtol=1e-6)


def test_the_package_imports_nothing_of_the_control_plane() -> None:
    """It is copied into bundles alone, so only its own modules and its requirements may be there."""
    source = "\n".join(path.read_text() for path in bundles.RUNTIME.rglob("*.py"))
    assert "from worker" not in source
    assert "from apps" not in source
    assert "django" not in source


def test_every_loader_module_exists_and_offers_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slipway_runtime").symlink_to(bundles.RUNTIME, target_is_directory=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry = importlib.import_module("slipway_runtime.loaders.registry")
    for name in registry.MODULES.values():
        assert callable(importlib.import_module(f"slipway_runtime.loaders.{name}").load)
    assert sorted(registry.MODULES) == ["lightgbm", "onnx", "pickle", "skops", "xgboost"]
