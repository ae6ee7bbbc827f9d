"""Models as XGBoost and LightGBM save them, of every kind: what is served answers as the library does."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from tests.worker.inspection import zoo
from tests.worker.inspection.examining import Report, examined
from tests.worker.inspection.near import unwalled
from tests.worker.served import bundle_of, open_bundle

X = zoo.X.astype(np.float32)
GAPS = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X).astype(np.float32)
KINDS = np.stack([zoo.Y, np.arange(len(X)) % 5], axis=1).astype(np.float32)  # two columns of categories
MIXED = np.concatenate([KINDS, X[:, :2]], axis=1)
ODD, GAIN = zoo.Y % 2, X[:, 0] * 2 + X[:, 1]

Made = tuple[bytes, np.ndarray, np.ndarray]  # the file, rows, and what the library says to them


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imports")


def by_xgboost(rows: np.ndarray = X, target: Any = ODD, **parameters: Any) -> Made:
    categories = ["c", "c", "q", "q"] if rows is MIXED else None
    data = xgboost.DMatrix(rows, target, feature_types=categories, enable_categorical=rows is MIXED)
    if str(parameters.get("objective", "")).startswith("rank"):
        data.set_group([len(rows)])
    booster = xgboost.train({"nthread": 1, "max_depth": 3, **parameters}, data, 6)
    return bytes(booster.save_raw("json")), rows, booster.predict(data)


def by_lightgbm(rows: np.ndarray = X, target: Any = ODD, **parameters: Any) -> Made:
    group = [len(rows)] if str(parameters.get("objective", "")).startswith("lambda") else None
    categories = [0, 1] if rows is MIXED else []
    data = lightgbm.Dataset(rows, target, group=group, categorical_feature=categories)
    fixed = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, "min_data_per_group": 3, "cat_smooth": 1}
    booster = lightgbm.train({**fixed, **parameters}, data, 6)
    return booster.model_to_string().encode(), rows, np.asarray(booster.predict(rows.astype(np.float64)))


def stopped_early(**parameters: Any) -> Made:
    """As the wrapper saves it: the file has more trees than the best iteration, by which the wrapper answers."""
    fixed = {"n_estimators": 40, "learning_rate": 1.0, "early_stopping_rounds": 20, "n_jobs": 1, "max_depth": 2}
    model = xgboost.XGBClassifier(**fixed, **parameters)
    model.fit(X[::2], zoo.Y[::2], eval_set=[(X[1::2], zoo.Y[1::2])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save_model(path)
        return path.read_bytes(), X, model.predict_proba(X)


def stopped_early_by_lightgbm() -> Made:
    model = lightgbm.LGBMRegressor(n_estimators=40, learning_rate=0.9, n_jobs=1, verbose=-1, min_child_samples=3)
    held_back: dict[str, Any] = {"eval_X": (X[1::2].copy(),), "eval_y": (GAIN[1::2].copy(),)}
    model.fit(X[::2].copy(), GAIN[::2].copy(), **held_back, callbacks=[lightgbm.early_stopping(2, verbose=False)])
    return model.booster_.model_to_string().encode(), X, np.asarray(model.predict(X.astype(np.float64)))


def squares(predicted: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
    return predicted - data.get_label(), np.ones_like(predicted)


def own_objective() -> Made:
    data = xgboost.DMatrix(X, GAIN)
    booster = xgboost.train({"nthread": 1}, data, 6, obj=squares)
    return bytes(booster.save_raw("ubj")), X, booster.predict(data)


CASES: dict[str, Callable[[], Made]] = {
    "binary": lambda: by_xgboost(objective="binary:logistic"),
    "margins": lambda: by_xgboost(objective="binary:logitraw"),
    "classes": lambda: by_xgboost(GAPS, zoo.Y, objective="multi:softprob", num_class=3),
    "labels": lambda: by_xgboost(X, zoo.Y, objective="multi:softmax", num_class=3),
    "regression": lambda: by_xgboost(GAPS, GAIN),
    "several targets": lambda: by_xgboost(X, np.stack([GAIN, -GAIN], axis=1)),
    "counts": lambda: by_xgboost(X, zoo.Y, objective="count:poisson"),
    "ranking": lambda: by_xgboost(X, zoo.Y, objective="rank:ndcg"),
    "dart": lambda: by_xgboost(booster="dart", objective="binary:logistic", rate_drop=0.3),
    "forest": lambda: by_xgboost(X, GAIN, num_parallel_tree=3, subsample=0.5),
    "categories": lambda: by_xgboost(MIXED, GAIN),
    "stopped early": stopped_early,
    "dart stopped early": lambda: stopped_early(booster="dart", rate_drop=0.3),
    "own objective": own_objective,
    "lightgbm binary": lambda: by_lightgbm(GAPS, objective="binary"),
    "lightgbm classes": lambda: by_lightgbm(X, zoo.Y, objective="multiclass", num_class=3),
    "lightgbm one against all": lambda: by_lightgbm(X, zoo.Y, objective="multiclassova", num_class=3),
    "lightgbm regression": lambda: by_lightgbm(GAPS, GAIN, objective="huber"),
    "lightgbm counts": lambda: by_lightgbm(X, zoo.Y, objective="poisson"),
    "lightgbm ranking": lambda: by_lightgbm(X, zoo.Y, objective="lambdarank"),
    "lightgbm dart": lambda: by_lightgbm(X, GAIN, objective="regression", boosting="dart"),
    "lightgbm forest": lambda: by_lightgbm(boosting="rf", bagging_freq=1, bagging_fraction=0.6, objective="binary"),
    "lightgbm categories": lambda: by_lightgbm(MIXED, GAIN, objective="regression"),
    "lightgbm linear trees": lambda: by_lightgbm(X, GAIN, objective="regression", linear_tree=True),
    "lightgbm stopped early": stopped_early_by_lightgbm,
}


@pytest.mark.parametrize("case", CASES)
def test_a_booster_answers_as_its_library(case: str, tmp_path: Path, imports: Path) -> None:
    file, rows, expected = CASES[case]()
    report = examine(tmp_path, file)
    assert report.verdict.accepted, str(report.failed.reason)
    ask = open_bundle(bundle_of(report.verdict, tmp_path), imports)
    data = [None if value != value else value for value in rows.ravel().tolist()]
    item = {"name": "input", "datatype": "FP32", "shape": list(rows.shape), "data": data}
    answer = {item["name"]: item["data"] for item in ask({"inputs": [item]})["outputs"]}
    np.testing.assert_allclose(as_library(answer, expected), expected, rtol=1e-4, atol=1e-4)


def examine(folder: Path, file: bytes) -> Report:
    (folder / "examined").mkdir()
    with unwalled():
        return examined(folder / "examined", {"model": file})


def as_library(answer: dict[str, list[Any]], expected: np.ndarray) -> np.ndarray:
    """The answer in the library's own shape: probabilities of one class alone, or labels."""
    if "probabilities" not in answer:
        return np.reshape(answer.get("output") or answer["label"], expected.shape)
    odds = np.reshape(answer["probabilities"], (len(expected), -1))
    return odds[:, 1] if expected.ndim == 1 else odds


def test_a_linear_booster_is_refused_with_what_to_train_instead(tmp_path: Path) -> None:
    report = examine(tmp_path, by_xgboost(booster="gblinear")[0])
    assert "linear (gblinear)" in str(report.failed.reason)
    assert "tree booster" in str(report.failed.advice)


def test_the_objective_is_noted(tmp_path: Path) -> None:
    report = examine(tmp_path, by_xgboost(objective="rank:pairwise", target=zoo.Y)[0])
    assert json.loads(json.dumps(report.checks["load"].details["notes"])) == {"objective": "rank:pairwise"}
