"""With the packages for a GPU and none to be had, the model answers all the same, and the log says so."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.runtime import bundles
from worker.runtime.loaders import onnx_session
from worker.runtime.manifest import read_manifest


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available:UserWarning")
def test_without_a_gpu_it_runs_on_the_processor_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(bundles.logistic_bundle(tmp_path / "bundle"))
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    model = onnx_session.load(manifest, 1)
    (said,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert (said["event"], said["level"]) == ("runs_without_gpu", "warning")
    assert said["reason"].endswith("it runs on processors")
    assert model.detail.endswith("on CPUExecutionProvider")
    shape = [size if size > 0 else 1 for size in manifest.signature.inputs[0].shape]
    assert model.run([np.zeros(shape, np.float32)])


def test_packages_without_a_gpu_say_nothing_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx_session.load(read_manifest(bundles.logistic_bundle(tmp_path / "bundle")), 1)
    assert "gpu" not in capsys.readouterr().out
