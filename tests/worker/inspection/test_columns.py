"""The names of the columns that a model was trained on are kept: shown, and never asked for on the wire."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.worker.inspection.examining import Report, examined
from tests.worker.inspection.near import unwalled
from tests.worker.inspection.test_mlflow import COLUMNS, unpacked
from tests.worker.served import bundle_of, open_bundle
from worker.inspection import serving
from worker.inspection.probes import models, samples
from worker.inspection.probing import Garbled

ROWS = np.random.default_rng(6).normal(size=(60, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int)
NAMES = ("age", "fare in €", "x,y")


def reported(folder: Path, files: Mapping[str, bytes], **given: Any) -> Report:
    with unwalled():
        report = examined(folder, files, **given)
    assert report.verdict.accepted, report.checks
    return report


def of_xgboost(form: str) -> bytes:
    data = xgboost.DMatrix(ROWS, LABELS, feature_names=list(NAMES))
    return bytes(xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 3).save_raw(form))


def of_lightgbm(**names: Any) -> bytes:
    data = lightgbm.Dataset(ROWS, LABELS, **names)
    return lightgbm.train({"objective": "binary", "verbose": -1}, data, 3).model_to_string().encode()


def of_sklearn(*, is_named: bool) -> bytes:
    """As fitted on a table of pandas, which leaves the names of its columns on every step that saw it."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)
    if is_named:
        model[0].feature_names_in_ = np.array(NAMES, dtype=object)
    return pickle.dumps(model)


@pytest.mark.parametrize(
    ("name", "data", "columns"),
    [
        ("m.json", of_xgboost("json"), NAMES),
        ("m.ubj", of_xgboost("ubj"), NAMES),
        ("m.txt", of_lightgbm(feature_name=["age", "fare", "class"]), ("age", "fare", "class")),
        ("m.txt", of_lightgbm(), ()),
        ("m.pkl", of_sklearn(is_named=True), NAMES),
        ("m.pkl", of_sklearn(is_named=False), ()),
    ],
)
def test_the_one_table_that_a_model_takes_has_the_names_of_its_columns(
    name: str, data: bytes, columns: tuple[str, ...], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    verdict = reported(tmp_path, {name: data}).verdict
    assert verdict.signature
    assert verdict.served_format == "onnx"
    (table,) = verdict.signature.inputs
    assert (table.name, table.shape, table.columns) == ("input", (-1, 3), columns)
    ask = open_bundle(bundle_of(verdict, tmp_path), tmp_path_factory.mktemp("imports"))
    row = {"name": "input", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    assert ask({"inputs": [row]})["outputs"]


def test_the_names_in_a_folder_of_mlflow_serve_where_the_file_has_none(tmp_path: Path) -> None:
    signature = reported(tmp_path, unpacked("lightgbm")).verdict.signature
    assert signature
    assert signature.inputs[0].columns == COLUMNS


def test_an_example_by_name_is_put_into_the_models_order() -> None:
    table = models.Tensor("input", "FP32", (-1, 3), NAMES)
    given = [{"name": name, "datatype": "FP32", "shape": [1, 1], "data": [at]} for at, name in enumerate(NAMES)]
    arrays = samples.from_request({"inputs": given[::-1]}, [table])
    assert arrays["input"].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("columns", [["a"], [1, 2, 3], ["a", "b", "c", "d"]])
def test_names_that_do_not_fit_their_table_are_no_signature(columns: list[Any]) -> None:
    table = {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    answer = {"name": "y", "datatype": "FP32", "shape": [-1]}
    with pytest.raises(Garbled):
        serving.signature({"inputs": [{**table, "columns": columns}], "outputs": [answer]})
    assert json.loads(json.dumps(serving.signature({"inputs": [table], "outputs": [answer]}).to_json()))["inputs"] == [
        table
    ]


def test_names_that_are_not_one_for_each_column_are_left_out() -> None:
    assert models.fitting(["a", "a"], 2) == ()
    assert models.fitting(["a"], 2) == ()
    assert models.fitting(map(str, range(1001)), 1001) == ()
    assert models.fitting(["a" * 500], 1) == ("a" * 128,)
