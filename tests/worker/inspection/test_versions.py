"""The version that a model is shown as saved with is the one that its file names, never the one installed here."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import sklearn
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.worker.inspection.cases import zipped
from tests.worker.inspection.examining import examined
from tests.worker.inspection.frameworks import DATA
from tests.worker.inspection.near import unwalled
from worker.inspection import booster_files, networks, skops_files
from worker.inspection.candidates import look

ROWS = np.random.default_rng(5).normal(size=(60, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int)


def saved_with(folder: Path, files: Mapping[str, bytes]) -> str:
    with unwalled():
        report = examined(folder, files)
    assert report.verdict.accepted, report.checks
    return report.verdict.framework_version


def booster(form: str) -> bytes:
    trained = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(ROWS, LABELS), 2)
    return bytes(trained.save_raw(form))


def of_xgboost_2(form: str) -> bytes:
    """The same booster as XGBoost 2.1.4 writes its version."""
    data = booster(form)
    if form == "json":
        return re.sub(rb'"version":\[[0-9,]+\]', b'"version":[2,1,4]', data)
    place = data.rindex(b"version[#") + len(b"version[#L") + 8
    return data[:place] + b"i\x02i\x01i\x04}"


def of_sklearn(version: str, data: bytes) -> bytes:
    """A skops file with another version in its description."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["_sklearn_version"]["content"] = json.dumps(version)
    return zipped(members | {"schema.json": json.dumps(schema).encode()})


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_a_booster_of_xgboost_names_its_version(form: str, tmp_path: Path) -> None:
    assert saved_with(tmp_path, {"m": of_xgboost_2(form)}) == "2.1.4"
    assert saved_with(tmp_path, {"m": booster(form)}) == xgboost.__version__


def test_a_booster_without_a_version_and_one_with_words_in_its_place_name_none() -> None:
    assert booster_files.versions(b'{"learner":{}}', "xgboost_json") == ()
    assert booster_files.versions(b'{"learner":{},"version":["a",1,2]}', "xgboost_json") == ()
    assert booster_files.versions(b'{"learner":{"version":[1,2,3]},"more":1}', "xgboost_json") == ()


def test_the_text_of_lightgbm_names_no_version_and_none_is_made_up(tmp_path: Path) -> None:
    trained = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2)
    assert saved_with(tmp_path, {"m.txt": trained.model_to_string().encode()}) == ""


def test_the_folder_of_mlflow_tells_what_the_file_does_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA / "mlflow" / "lightgbm.zip") as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    note = files["lightgbm/MLmodel"].replace(b"lgb_version: 4.7.0", b"lgb_version: 4.1.0")
    assert saved_with(tmp_path, files | {"lightgbm/MLmodel": note}) == "4.1.0"
    longer = files["lightgbm/MLmodel"].replace(b"lgb_version: 4.7.0", b"lgb_version: " + b"4" * 100)
    assert saved_with(tmp_path, files | {"lightgbm/MLmodel": longer}) == ""


def test_a_skops_file_names_the_version_of_scikit_learn(tmp_path: Path) -> None:
    data = skops.io.dumps(LogisticRegression().fit(ROWS, LABELS))
    assert saved_with(tmp_path, {"m.skops": of_sklearn("1.10.2", data)}) == "1.10.2"
    assert skops_files.read(of_sklearn("<b>" * 20, data)).versions == set()


def test_the_newest_of_several_versions_counts(tmp_path: Path) -> None:
    data = skops.io.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS))
    changed = of_sklearn("1.10.2", data)
    assert skops_files.read(changed).versions == {"1.10.2", sklearn.__version__}
    assert saved_with(tmp_path, {"m.skops": changed}) == "1.10.2"


@pytest.mark.parametrize(
    ("name", "version"),
    [("keras/model.keras", "3.15.1"), ("torch/exported.pt2", "2.13.0+cpu"), ("torch/traced.pt", "")],
)
def test_a_network_names_the_version_of_its_library_where_the_format_has_one(name: str, version: str) -> None:
    path = DATA / name
    candidate = look(path, path.name, path.stat().st_size)
    assert networks.KINDS[candidate.kind].read(candidate).version == version
