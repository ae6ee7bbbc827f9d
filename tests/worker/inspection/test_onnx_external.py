"""ONNX with its weights in other files: brought together into one file, and never led astray by a location."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.worker.inspection.examining import examined
from tests.worker.inspection.malice import zipped
from tests.worker.inspection.test_formats import graph
from worker.inspection import intake, onnx_external, onnx_files
from worker.inspection.refusals import Refusal
from worker.specs import SourceFile

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def outside(location: str = "w.data", *, offset: int | None = 16, length: int | None = 48, shape=(4, 3)) -> bytes:
    """A small model whose weights lie in another file."""
    model = onnx.load_from_string(graph())
    weight = model.graph.initializer[0]
    weight.Clear()
    weight.name, weight.data_type, weight.data_location = "w", TensorProto.FLOAT, TensorProto.EXTERNAL
    weight.dims.extend(shape)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    data: bytes = model.SerializeToString()
    return data


def blob() -> bytes:
    return bytes(16) + WEIGHTS.tobytes()


def test_weights_beside_the_model_are_brought_into_one_file_that_is_served(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m/model.onnx": outside(), "m/w.data": blob(), "m/README.md": b"# Hello"})
    assert report.verdict.accepted, report.checks
    content = report.checks["content"]
    assert "weights" in str(content.summary)
    assert content.details["weights"] == ["m/w.data"]
    assert content.details["beside"] == ["m/README.md"]
    assert report.verdict.served_path
    served = onnx.load(report.verdict.served_path, load_external_data=False)
    assert np.array_equal(onnx.numpy_helper.to_array(served.graph.initializer[0]), WEIGHTS)
    assert not onnx_files.outline(served.SerializeToString()).external
    row = np.array(report.verdict.golden["request"]["inputs"][0]["data"], dtype=np.float32)
    assert report.verdict.golden["response"]["outputs"][0]["data"] == pytest.approx((row @ WEIGHTS).tolist(), rel=1e-6)


def test_an_archive_of_a_model_and_its_weights_is_taken(tmp_path: Path) -> None:
    found = taken(tmp_path, {"all.zip": zipped({"m/model.onnx": outside(), "m/w.data": blob()})})
    assert (found.archive, found.weights) == ("all.zip", ("m/w.data",))


def test_weights_of_every_type_and_place_come_out_as_onnx_reads_them(tmp_path: Path) -> None:
    """Initialisers, attributes, bodies of branches and functions, with every element type that numpy has."""
    kinds = [np.float32, np.float64, np.float16, np.int8, np.uint16, np.int32, np.int64, np.bool_, np.complex64]
    tensors = [onnx.numpy_helper.from_array(np.arange(6).reshape(2, 3).astype(k), f"t{i}") for i, k in enumerate(kinds)]
    constant = helper.make_node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(np.ones(5), "inner"))
    body = helper.make_graph([constant], "body", [], [helper.make_tensor_value_info("c", 11, [5])], tensors[:2])
    branch = helper.make_node("If", ["q"], ["z"], then_branch=body, else_branch=body)
    model = helper.make_model(helper.make_graph([constant, branch], "g", [], [], tensors))
    model.functions.append(helper.make_function("mine", "F", [], ["c"], [constant], model.opset_import))
    expected = model.SerializeToString()
    onnx.save(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0,
        convert_attribute=True,
    )  # fmt: skip
    data = (tmp_path / "m.onnx").read_bytes()
    assert len(onnx_files.outline(data).external) == 10
    blobs = {"w.bin": onnx_external.Blob(tmp_path / "w.bin", (tmp_path / "w.bin").stat().st_size)}
    onnx_external.inline(data, blobs, tmp_path / "whole.onnx")
    assert onnx.load(tmp_path / "whole.onnx", load_external_data=False) == onnx.load_from_string(expected)


LOCATIONS = [
    "../w.data", "a/../../w.data", "./w.data", "a/w.data", "/etc/passwd", "..", "..\\w.data", "C:\\w.data", "C:w.data",
    "w.data\x00.txt", "", "w" * 300, "file:///etc/passwd", "~/w.data", "w.data ", "$HOME", "w\n.data",
    "\uff0e\uff0e\uff0fw.data",
]  # fmt: skip


def test_a_location_that_is_no_plain_name_is_refused(tmp_path: Path) -> None:
    for number, location in enumerate(LOCATIONS):
        refusal = refused(tmp_path / str(number), {"model.onnx": outside(location), "w.data": blob()})
        assert "not a plain file name" in str(refusal.reason), location


def test_a_link_in_place_of_the_weights_is_not_there(tmp_path: Path) -> None:
    """Archives give regular files only, and names are looked up in the upload, never on the disk."""
    (tmp_path / "w.data").symlink_to("/etc/passwd")
    os.link(__file__, tmp_path / "hard.data")
    for number, location in enumerate(("w.data", "hard.data")):
        refusal = refused(tmp_path / str(number), {"model.onnx": outside(location)})
        assert "not in the upload" in str(refusal.reason)
        assert location in str(refusal.advice)


@pytest.mark.parametrize(
    "options",
    [
        {"offset": 17}, {"offset": 1 << 60}, {"offset": -1}, {"length": 47}, {"length": 1 << 62}, {"length": -48},
        {"shape": (4, 4)}, {"shape": (-1, 3)}, {"shape": (1 << 62, 1 << 62)}, {"shape": (1,) * 65},
    ],
    ids=str,
)  # fmt: skip
def test_bytes_that_the_file_of_weights_does_not_have_are_refused(options: dict, tmp_path: Path) -> None:
    refusal = refused(tmp_path, {"model.onnx": outside(**options), "w.data": blob()})
    assert "does not have" in str(refusal.reason)


def test_two_places_for_one_tensor_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(outside())
    model.graph.initializer[0].external_data.add(key="location", value="other.data")
    refused(tmp_path, {"model.onnx": model.SerializeToString(), "w.data": blob(), "other.data": blob()})


def test_what_becomes_larger_than_one_onnx_file_is_refused_before_it_is_written(tmp_path: Path) -> None:
    """Many tensors that all refer to the same gigabyte: a bomb, or a model that is too large."""
    with open(tmp_path / "w.data", "wb") as file:
        file.truncate(1 << 30)
    model = onnx.load_from_string(outside(offset=0, length=1 << 30, shape=(1 << 28,)))
    model.graph.initializer.extend([model.graph.initializer[0]] * 2)
    refusal = refused(tmp_path / "up", {"model.onnx": model.SerializeToString(), "w.data": tmp_path / "w.data"})
    assert "3.22 GB" in str(refusal.reason)
    assert "float16" in str(refusal.advice)
    assert not list(tmp_path.rglob("whole.onnx"))


def taken(folder: Path, files: Mapping[str, bytes | Path]) -> intake.Intake:
    """What the intake finds in these files."""
    folder.mkdir(exist_ok=True)
    (folder / "scratch").mkdir()
    sources = []
    for number, (name, content) in enumerate(files.items()):
        path = content if isinstance(content, Path) else folder / str(number)
        if isinstance(content, bytes):
            path.write_bytes(content)
        sources.append(SourceFile(path, name, "0" * 64, path.stat().st_size))
    return intake.take_in(sources, folder / "scratch", 1 << 30)


def refused(folder: Path, files: Mapping[str, bytes | Path]) -> Refusal:
    with pytest.raises(Refusal) as error:
        taken(folder, files)
    return error.value
