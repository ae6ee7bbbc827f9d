"""Estimators from ``fit`` to a served answer, in one process; ``tests/bench/estimators.py`` takes all of them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

from tests.worker.inspection import agreement, toys
from tests.worker.inspection.examining import examined
from tests.worker.inspection.near import unwalled
from tests.worker.served import bundle_of, open_bundle

ESTIMATORS = dict(all_estimators())


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imports")


def difference(fitted: toys.Fitted, folder: Path, imports: Path) -> tuple[str, str]:
    """How the model is served, and how its answers differ from its own where it was fitted."""
    with unwalled():
        (folder / "examined").mkdir()
        report = examined(folder / "examined", {"model.pkl": pickle.dumps(fitted.model)})
    verdict = report.verdict
    assert verdict.accepted, str(report.failed.reason)
    assert verdict.signature
    ask = open_bundle(bundle_of(verdict, folder), imports)
    answer = ask(agreement.as_request(fitted.rows, verdict.signature))
    return verdict.served_format, agreement.difference(fitted.model, fitted.rows, verdict.signature, answer)


@pytest.mark.parametrize(
    ("kind", "name", "served"),
    [
        ("bare", "RandomForestRegressor", "onnx"),
        ("bare", "GaussianProcessRegressor", "onnx"),  # FP32 is not enough for it, FP64 is
        ("bare", "BisectingKMeans", "skops"),  # takes FP64 alone
        ("bare", "OneClassSVM", "skops"),  # its support vectors are ties
        ("bare", "NearestNeighbors", "skops"),
        ("bare", "KernelDensity", "skops"),
        ("bare", "LedoitWolf", "skops"),
        ("bare", "LabelEncoder", "onnx"),
        ("bare", "RadiusNeighborsClassifier", "skops"),  # refuses rows that are far from all it knows
        ("words", "GradientBoostingClassifier", "onnx"),
        ("words", "HistGradientBoostingClassifier", "onnx"),
        ("pipeline", "BaggingClassifier", "skops"),  # splits lie on whole numbers that occur
        ("pipeline", "SVC", "onnx"),
        ("pipeline", "MultiOutputClassifier", "onnx"),
        ("pipeline", "NearestNeighbors", "skops"),  # pipelines do not pass its question on
        ("search", "KMeans", "onnx"),
        ("search", "EmpiricalCovariance", "skops"),
        ("search", "DecisionTreeClassifier", "onnx"),
    ],
)
def test_an_estimator_answers_as_where_it_was_fitted(
    kind: str, name: str, served: str, tmp_path: Path, imports: Path
) -> None:
    fitted = toys.KINDS[kind](ESTIMATORS[name])
    assert fitted
    assert difference(fitted, tmp_path, imports) == (served, "")


def test_categories_that_fp32_cannot_hold_are_asked_for_in_fp64(tmp_path: Path, imports: Path) -> None:
    rows = [[0.1], [0.3], [0.7]]
    assert difference(toys.Fitted(OneHotEncoder().fit(rows), rows), tmp_path, imports)[1] == ""


def test_an_encoder_that_stops_at_new_values_is_refused_with_how_to_fit_it(tmp_path: Path) -> None:
    fitted = toys.KINDS["pipeline"](OneHotEncoder)
    assert fitted
    with unwalled():
        report = examined(tmp_path, {"model.pkl": pickle.dumps(fitted.model)})
    assert 'handle_unknown="ignore"' in str(report.failed.advice)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("LocalOutlierFactor", "novelty=True"),
        ("DBSCAN", "Choose KMeans or MeanShift"),
        ("SpectralEmbedding", "Choose PCA, KernelPCA or Isomap"),
        ("DictVectorizer", "one that takes columns, such as OneHotEncoder"),
        ("Birch", "Replace this part by another one"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do(name: str, advice: str, tmp_path: Path) -> None:
    fitted = toys.bare(ESTIMATORS[name])
    assert fitted
    with unwalled():
        report = examined(tmp_path, {"model.pkl": pickle.dumps(fitted.model)})
    assert not report.verdict.accepted
    assert name in str(report.failed.reason)
    assert advice in str(report.failed.advice)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_gaps_are_filled_before_trees_as_exactly_as_where_they_were_fitted(
    missing: float, tmp_path: Path, imports: Path
) -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(60, 4)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(int)
    rows[rng.random(rows.shape) < 0.2] = missing
    forest = RandomForestClassifier(21, random_state=0)
    model = make_pipeline(SimpleImputer(missing_values=missing), StandardScaler(), forest).fit(rows, labels)
    fitted = toys.Fitted(model, rows)
    assert difference(fitted, tmp_path, imports) == ("onnx", "")
