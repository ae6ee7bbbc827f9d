"""The sample model that a new project is offered."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import skops.io
from django.test import Client

from apps.audit.models import Entry
from apps.library.metadata import read_metadata
from apps.library.models import ModelVersion
from apps.library.services.sample import SAMPLE_FOLDER
from controlplane.demo import sample
from tests.cast import Cast


def test_one_press_uploads_it_with_card_labels_and_example(browser: Callable[[str], Client], cast: Cast) -> None:
    dana = browser("dana")
    assert "Use the sample model" in dana.get("/p/digits-team/models/").content.decode()
    address = dana.post("/p/digits-team/use-sample/").url
    version = ModelVersion.objects.get(model__project=cast.project)
    assert address == "/p/digits-team/models/iris/1/"
    assert (version.state, version.class_labels) == ("uploaded", ["setosa", "versicolor", "virginica"])
    assert version.example["inputs"][0]["shape"] == [3, 4]
    assert read_metadata(version.card).licence == "cc0-1.0"
    assert [entry.action for entry in Entry.objects.order_by("seq")] == [
        "model.created",
        "model.edited",
        "version.uploaded",
    ]
    assert dana.post("/p/digits-team/use-sample/").url == address
    assert ModelVersion.objects.count() == 1


def test_a_project_with_models_is_not_offered_one(browser: Callable[[str], Client], upload_version: object) -> None:
    upload_version()
    assert "Use the sample model" not in browser("dana").get("/p/digits-team/upload/").content.decode()


def test_what_ships_is_what_the_script_makes_today(tmp_path: Path) -> None:
    sample.main(tmp_path)
    again = f"run: python -m controlplane.demo.sample {SAMPLE_FOLDER.relative_to(Path.cwd())}"
    for name in ("README.md", "labels.txt", "example.json"):
        assert (SAMPLE_FOLDER / name).read_text() == (tmp_path / name).read_text(), again
    rows = np.asarray(sample.split()[1])
    shipped, made = (skops.io.load(folder / "iris.skops") for folder in (SAMPLE_FOLDER, tmp_path))
    np.testing.assert_array_equal(shipped.predict_proba(rows), made.predict_proba(rows), err_msg=again)
    assert shipped[-1].__getstate__()["_sklearn_version"] == sklearn.__version__, again
    assert json.loads((SAMPLE_FOLDER / "example.json").read_text())["inputs"][0]["shape"] == [3, 4]
