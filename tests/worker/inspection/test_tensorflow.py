"""TensorFlow SavedModels: every operator known before TensorFlow sees them, converted where it can be had."""

import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.worker.inspection.examining import environment_of, examined
from tests.worker.inspection.test_onnx_external import refused, taken
from worker import sandbox
from worker.inspection import tensorflow_files
from worker.inspection.protobuf import header
from worker.inspection.refusals import Refusal

DATA = Path(__file__).with_name("data") / "tensorflow"


def unpacked(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def model_of(*nodes: str, function: str = "") -> bytes:
    """A SavedModel of nothing but these operators."""

    def message(number: int, content: bytes) -> bytes:
        return header(number, len(content)) + content

    if function:
        signature = message(1, message(1, function.encode()))
        bodies = b"".join(message(3, message(2, node.encode())) for node in nodes)
        graph = message(2, message(1, signature + bodies))
    else:
        graph = b"".join(message(1, message(2, node.encode())) for node in nodes)
    return b"\x08\x01" + message(2, message(2, graph))


def test_a_real_folder_is_read_and_laid_out_for_tensorflow(tmp_path: Path) -> None:
    for number, files in enumerate(({"m.zip": DATA / "plain.zip"}, unpacked("plain"))):
        found = taken(tmp_path / str(number), files)
        assert found.model.kind == "tensorflow"
        assert {path.name for path in found.readable.rglob("*")} == {
            "saved_model.pb", "variables", "variables.index", "variables.data-00000-of-00001",
        }  # fmt: skip
        outline = tensorflow_files.read(found.model.path.read_bytes())
        assert {"MatMul", "Softmax", "VarHandleOp"} <= outline.operators
        assert outline.version.startswith("2.")


def test_assets_stay_outside(tmp_path: Path) -> None:
    files = unpacked("plain") | {"plain/assets/vocabulary.txt": b"a\nb\n", "plain/variables/evil.so": b"\x7fELF"}
    with pytest.raises(Refusal):
        taken(tmp_path / "a", files)
    del files["plain/variables/evil.so"]
    found = taken(tmp_path / "b", files)
    assert not list(found.readable.rglob("vocabulary.txt"))


def test_a_graph_that_reads_files_is_refused_by_name(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.zip": DATA / "reader.zip"})
    assert report.failed.check == "safety"
    assert "ReadFile" in str(report.failed.reason)


@pytest.mark.parametrize(
    "operator",
    ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "MatchingFiles",
     "InitializeTableFromTextFileV2", "HashTableV2", "IteratorV2", "TextLineDataset", "PrintV2", "XlaLaunch",
     "Custom>Op", "", "ReadFile\x00", "x" * 500, "SaveV2", "RestoreV2", "MergeV2Checkpoints"],
)  # fmt: skip
def test_operators_off_the_list_are_refused_wherever_they_are(operator: str) -> None:
    for data in (model_of("MatMul", operator), model_of("MatMul", operator, function="__inference_call_1")):
        with pytest.raises(Refusal, match="operator"):
            tensorflow_files.read(data)


def test_variables_are_saved_and_restored_by_their_own_functions_only() -> None:
    assert tensorflow_files.read(model_of("SaveV2", function="__inference__traced_save_12")).nodes == 1


@pytest.mark.parametrize(
    "data",
    [b"\x08\x01\x12", b"\x08\x01\x12\x00", b"\x08\x01\x12\xc0\x80\x10" + bytes(5000), b"\x08\x01" + model_of("Add") * 2,
     b"\x08\x01\x12\x7f" + b"\x0a" * 64, model_of("Add") + b"\x1a\x01x", b"\x08\x01\x12\x02\x12\x00"],
    ids=range(7),
)  # fmt: skip
def test_damaged_graphs_are_told_so(data: bytes) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        tensorflow_files.read(data)


def test_two_graphs_are_one_too_many(tmp_path: Path) -> None:
    files = unpacked("plain") | unpacked("reader")
    assert "could be the model" in str(refused(tmp_path, files).reason)


@pytest.mark.engine
@pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")
def test_a_saved_model_is_converted_in_its_own_environment(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.zip": DATA / "plain.zip"}, environments=environment_of("tensorflow"))
    assert report.verdict.accepted, report.checks
    assert (report.verdict.framework, report.verdict.served_format) == ("tensorflow", "onnx")
    session = onnxruntime.InferenceSession(str(report.verdict.served_path))
    rows = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    scores = np.exp(rows @ (np.arange(12, dtype=np.float32).reshape(4, 3) / 8))
    assert session.run(["y"], {"x": rows})[0] == pytest.approx(scores / scores.sum(axis=1, keepdims=True), rel=1e-4)
