"""Folders that MLflow wrote: the inner model is taken out, and nothing else in them is believed."""

import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import skops.io

from tests.worker.inspection import agreement
from tests.worker.inspection.examining import examined
from tests.worker.inspection.malice import zipped
from tests.worker.inspection.near import unwalled
from tests.worker.inspection.test_onnx_external import outside, refused, taken
from tests.worker.served import bundle_of, open_bundle
from worker import sandbox
from worker.inspection import mlflow_signatures, yaml_files
from worker.inspection.mlflow_signatures import Signature

FOLDERS = Path(__file__).with_name("data") / "mlflow"
COLUMNS = ("sepal length", "sepal width", "petal_length", "petal_width")

needs_sandbox = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


def unpacked(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(FOLDERS / f"{name}.zip") as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def changed(name: str, old: str, new: str) -> dict[str, bytes]:
    """A real folder whose MLmodel was edited."""
    files = unpacked(name)
    text = files[f"{name}/MLmodel"].decode()
    assert old in text
    return files | {f"{name}/MLmodel": text.replace(old, new, 1).encode()}


@pytest.mark.parametrize(
    ("name", "kind", "columns"),
    [
        ("onnx", "onnx", ()), ("sklearn-pickle", "pickle", COLUMNS), ("sklearn-cloudpickle", "pickle", COLUMNS),
        ("sklearn-skops", "skops", COLUMNS), ("sklearn-tensor", "pickle", ()), ("xgboost-json", "xgboost_json", ()),
        ("xgboost-sk", "xgboost_ubj", ()), ("lightgbm", "lightgbm", COLUMNS),
    ],
)  # fmt: skip
def test_the_inner_model_is_taken_out(name: str, kind: str, columns: tuple[str, ...], tmp_path: Path) -> None:
    for number, files in enumerate(({"model.zip": FOLDERS / f"{name}.zip"}, unpacked(name))):
        found = taken(tmp_path / str(number), files)
        assert (found.model.kind, found.columns) == (kind, columns)
        assert found.mlflow
        assert found.mlflow.facts["mlflow_version"].startswith("3.")
        assert "requirements.txt" in found.mlflow.facts


@needs_sandbox
def test_the_example_of_the_folder_is_the_first_question(tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.zip": FOLDERS / "sklearn-skops.zip"})
    assert report.verdict.accepted, report.checks
    assert report.checks["content"].details["mlflow"]["flavour"] == "sklearn"
    assert "MLflow" in str(report.checks["content"].summary)
    assert str(report.checks["predict"].summary) == "It answered your example"
    rows = json.loads(unpacked("sklearn-skops")["sklearn-skops/input_example.json"])["data"]
    asked = report.verdict.golden["request"]["inputs"][0]
    assert asked["shape"] == [2, 4]
    assert asked["data"] == pytest.approx([value for row in rows for value in row], rel=1e-6)
    assert report.verdict.served_format == "onnx"


ANSWERS = json.loads((FOLDERS / "answers.json").read_bytes())


@pytest.mark.parametrize("name", ANSWERS["answers"])
def test_what_is_served_answers_as_the_model_that_mlflow_loads(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "examined").mkdir()
    with unwalled():
        report = examined(tmp_path / "examined", {"model.zip": FOLDERS / f"{name}.zip"})
    verdict = report.verdict
    assert verdict.accepted, report.checks
    assert verdict.signature
    ask = open_bundle(bundle_of(verdict, tmp_path), tmp_path_factory.mktemp("imports"))
    answer = ask(agreement.as_request(np.array(ANSWERS["rows"]), verdict.signature))
    given = {item["name"]: item["data"] for item in answer["outputs"]}
    wanted = {output: np.ravel(values).tolist() for output, values in ANSWERS["answers"][name].items()}
    assert given.keys() == wanted.keys()
    assert all(given[output] == pytest.approx(values, abs=1e-5) for output, values in wanted.items())


def test_every_folder_has_its_answers_but_the_one_of_python() -> None:
    assert {path.stem for path in FOLDERS.glob("*.zip")} - set(ANSWERS["answers"]) == {"pyfunc"}


def test_onnx_in_a_folder_may_have_its_weights_beside_it(tmp_path: Path) -> None:
    files = unpacked("onnx") | {"onnx/model.onnx": outside(), "onnx/w.data": bytes(64)}
    assert taken(tmp_path, files).weights == ("onnx/w.data",)


def test_the_booster_is_taken_out_of_lightgbms_wrapper(tmp_path: Path) -> None:
    found = taken(tmp_path, {"model.zip": FOLDERS / "lightgbm-sk.zip"})
    assert (found.model.kind, found.wrapper) == ("lightgbm", "lightgbm.sklearn.LGBMClassifier")
    assert found.labels == ("0", "1")
    booster = lightgbm.Booster(model_file=str(found.model.path))
    assert (booster.num_feature(), booster.num_trees()) == (4, 3)


def test_words_are_read_as_names_of_classes(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(60, 3))
    words = np.where(rows[:, 0] > 0, "höher", "tiefer")
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(rows, words)
    found = taken(tmp_path, {"m.skops": skops.io.dumps(model)})
    assert found.labels == ("höher", "tiefer")
    boosted = lightgbm.Booster(model_file=str(found.model.path))
    assert boosted.predict(rows) == pytest.approx(model.predict_proba(rows)[:, 1])


def test_a_wrapper_of_another_shape_is_left_to_the_list_of_names(tmp_path: Path) -> None:
    tree = {"__class__": "LGBMClassifier", "__module__": "lightgbm.sklearn", "__loader__": "ObjectNode", "content": 1}
    report = examined(tmp_path, {"m.skops": zipped({"schema.json": json.dumps(tree).encode()})})
    assert report.failed.check == "safety"
    assert "booster_" in str(report.failed.advice)


CODE = "code: null"
REFUSED: Mapping[str, tuple[dict[str, bytes], str]] = {
    "only Python": (unpacked("pyfunc"), "mlflow.pyfunc.model, which runs it"),
    "another loader": (changed("onnx", "loader_module: mlflow.onnx", "loader_module: evil.loader"), "evil.loader"),
    "code of its own": (changed("sklearn-pickle", CODE, "code: code"), "folder code"),
    "code in the other flavour": (changed("onnx", "env:", "code: src\n    env:"), "src"),
    "a flavour that has no file": (changed("onnx", "  onnx:", "  pytorch:"), "the flavour pytorch"),
    "two flavours of ours": (changed("onnx", "  onnx:", "  xgboost:\n    data: m.json\n  onnx:"), "onnx, xgboost"),
    "a model outside": (changed("onnx", "data: model.onnx", "data: ../../etc/passwd"), "cannot be used"),
    "an absolute model": (changed("onnx", "data: model.onnx", "data: /etc/passwd"), "cannot be used"),
    "a model that is a list": (changed("onnx", "data: model.onnx", "data: [model.onnx]"), "cannot be used"),
    "no model": (changed("onnx", "data: model.onnx", "data: other.onnx"), "no file other.onnx"),
    "no flavours": (changed("onnx", "flavors:\n", "flavors:\n  a:\n"), "cannot be used"),
    "a tag": (changed("onnx", CODE, "code: !!python/object/apply:os.system [id]"), "cannot be used"),
    "a tag of its own": (changed("onnx", CODE, "code: !evil x"), "cannot be used"),
    "an alias": (changed("onnx", CODE, "code: &a 1\n    more: *a"), "cannot be used"),
    "no YAML": (changed("onnx", CODE, "code: {"), "cannot be used"),
}


@pytest.mark.parametrize("label", REFUSED)
def test_what_would_need_code_is_refused_by_name(label: str, tmp_path: Path) -> None:
    files, words = REFUSED[label]
    refusal = refused(tmp_path, files)
    assert words in str(refusal.reason)
    assert str(refusal.advice)


def test_two_folders_are_one_too_many(tmp_path: Path) -> None:
    assert "2 files" in str(refused(tmp_path, unpacked("onnx") | unpacked("lightgbm")).reason)


BOMBS = {
    "laughs": b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)),
    "brackets": b"flavors: " + b"[" * 200_000,
    "braces": b"{a: " * 100_000,
    "deep block": b"".join(b" " * i + b"a:\n" for i in range(900)),
    "merge": b"a: &a {x: 1}\nb: {<<: *a}\n",
    "many": b"- a\n" * 100_000,
    "long": b"a: " + b"x" * (1 << 20),
    "long number": b"a: " + b"9" * 100_000,
    "tag": b"a: !!python/name:os.system\n",
    "bytes": b"\xff\xfe\x00",
    "nothing": b"\x00",
}


@pytest.mark.parametrize("label", BOMBS)
def test_yaml_that_grows_is_refused_at_once(label: str) -> None:
    start = time.process_time()
    with pytest.raises(yaml_files.Unreadable):
        yaml_files.read(BOMBS[label])
    assert time.process_time() - start < 0.25  # alone on a core it takes less than a fifth of that


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"inputs": {"a": [[1, 2]], "b": [["x"]]}}, ["a", "b"]),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}}, ["a", "b"]),
        ({"instances": [[1.0], [2.0]]}, ["x"]),
        ([[1, 2], [3, 4]], ["x"]),
    ],
)
def test_examples_in_the_forms_of_mlflow_become_requests(body: object, names: list[str]) -> None:
    request = mlflow_signatures.request_of(json.dumps(body).encode(), Signature(tensors=("x",)))
    assert request
    assert [item["name"] for item in request["inputs"]] == names


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[", b"{}", b"[]", b"NaN", b"[NaN]", b'[[1], [2, 3]]', b'{"inputs": {}}', b"[{}]", b"[" * 10_000,
        b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', b"[1" + b"0" * 400 + b"]", b'"text"', b"[null]",
    ],
)  # fmt: skip
def test_an_example_that_is_no_tensor_is_left_out(data: bytes) -> None:
    assert mlflow_signatures.request_of(data, Signature()) is None
