"""A bundle is the same whenever it is built, holds exactly what was approved, and shows every later change."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from tests.worker.builders.making import make_spec
from worker.builders.bundles import RUNTIME, pack_bundle, verify_bundle
from worker.errors import ToolError


def test_built_twice_gives_the_same_digest_in_the_same_place(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    assert pack_bundle(spec, tmp_path / "a") == pack_bundle(spec, tmp_path / "a")
    assert pack_bundle(spec, tmp_path / "a")[0] == pack_bundle(spec, tmp_path / "b")[0]
    assert len(list((tmp_path / "a" / "bundles").iterdir())) == 1


def test_any_word_of_the_spec_changes_the_digest(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    digest, _ = pack_bundle(spec, tmp_path)
    for change in ({"version": "2"}, {"labels": ("x",)}, {"subject": "other"}, {"trusted": ("numpy.ndarray",)}):
        assert pack_bundle(dataclasses.replace(spec, **change), tmp_path)[0] != digest  # type: ignore[arg-type]


def test_the_bundle_holds_manifest_model_and_runtime(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    _, bundle = pack_bundle(spec, tmp_path)
    manifest = json.loads((bundle / "slipway.json").read_bytes())
    assert (manifest["file"], manifest["sha256"], manifest["format"]) == ("model/model.onnx", spec.file.sha256, "onnx")
    assert (bundle / manifest["file"]).read_bytes() == spec.file.path.read_bytes()
    sources = {path.relative_to(RUNTIME) for path in RUNTIME.rglob("*.py")}
    assert {path.relative_to(bundle / "slipway_runtime") for path in bundle.rglob("*.py")} == sources
    assert not [path for path in bundle.rglob("*") if path.is_file() and os.stat(path).st_mode & 0o222]


def test_the_model_takes_no_second_place_on_the_disk(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    _, bundle = pack_bundle(spec, tmp_path)
    assert (bundle / "model" / "model.onnx").samefile(spec.file.path)


def test_a_file_that_is_not_the_approved_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    wrong = dataclasses.replace(spec, file=dataclasses.replace(spec.file, sha256="0" * 64))
    with pytest.raises(ToolError, match=r"model\.onnx") as caught:
        pack_bundle(wrong, tmp_path)
    assert (caught.value.kind, caught.value.permanent) == ("digest_mismatch", True)
    assert not list((tmp_path / "bundles").iterdir())


def test_a_name_cannot_lead_out_of_the_bundle(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    sly = dataclasses.replace(spec, file=dataclasses.replace(spec.file, name="../../outside/model.onnx"))
    _, bundle = pack_bundle(sly, tmp_path)
    assert (bundle / "model" / "model.onnx").exists()
    with pytest.raises(ToolError, match="cannot be used"):
        pack_bundle(dataclasses.replace(spec, file=dataclasses.replace(spec.file, name="..")), tmp_path)


def test_an_intact_bundle_is_accepted(tmp_path: Path) -> None:
    digest, bundle = pack_bundle(make_spec(tmp_path), tmp_path)
    verify_bundle(bundle, digest)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("slipway_runtime/server.py", b"print('changed')"),
        ("slipway_runtime/__pycache__/server.cpython-311.pyc", b"planted"),
        ("model/model.onnx", b"another model"),
        ("model/extra", b"one file more"),
    ],
)
def test_every_change_is_found_and_named(tmp_path: Path, name: str, content: bytes) -> None:
    digest, bundle = pack_bundle(make_spec(tmp_path), tmp_path)
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).unlink(missing_ok=True)
    (bundle / name).write_bytes(content)
    with pytest.raises(ToolError, match=name) as caught:
        verify_bundle(bundle, digest)
    assert caught.value.kind == "digest_mismatch"


def test_a_link_in_place_of_a_file_is_a_change(tmp_path: Path) -> None:
    digest, bundle = pack_bundle(make_spec(tmp_path), tmp_path)
    source = bundle / "slipway_runtime" / "server.py"
    elsewhere = tmp_path / "server.py"
    source.rename(elsewhere)
    source.symlink_to(elsewhere)
    with pytest.raises(ToolError, match=r"server\.py"):
        verify_bundle(bundle, digest)


def test_a_changed_manifest_is_named_itself(tmp_path: Path) -> None:
    digest, bundle = pack_bundle(make_spec(tmp_path), tmp_path)
    manifest = bundle / "slipway.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('"version": "1"', '"version": "2"'))
    with pytest.raises(ToolError, match=r"slipway\.json"):
        verify_bundle(bundle, digest)


def test_a_bundle_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not there any more"):
        verify_bundle(tmp_path / "nothing", "0" * 64)
