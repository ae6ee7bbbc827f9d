"""What a file is told by its content alone, and everything that is not taken is refused by name, with a way out."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.worker.inspection.examining import examined
from tests.worker.inspection.malice import zipped
from worker.inspection import foreign, formats, intake, onnx_files


def graph(*, domain: str = "", external: bool = False, kind: str = "MatMul", inner: bool = False) -> bytes:
    """A small ONNX file, as a user would export it."""
    weight = numpy_helper.from_array(np.eye(4, 3, dtype=np.float32), "w")
    if external:
        weight = TensorProto(name="w", data_type=1, dims=[4, 3], data_location=TensorProto.EXTERNAL)
        weight.external_data.add(key="location", value="../../etc/passwd")
    node = helper.make_node(kind, ["x", "w"], ["y"], domain=domain)
    if inner:
        body = helper.make_graph([node], "body", [], [helper.make_tensor_value_info("y", 1, None)], [weight])
        node = helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body)
    shape = helper.make_tensor_value_info("x", 1, ["rows", 4]), helper.make_tensor_value_info("y", 1, ["rows", 3])
    made = helper.make_graph([node], "g", [shape[0]], [shape[1]], [] if inner else [weight])
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(made, opset_imports=opsets, ir_version=8, producer_name="pytorch", producer_version="2.9")
    data: bytes = model.SerializeToString()
    return data


FOREIGN: dict[str, tuple[str, bytes]] = {
    "empty": ("empty", b""),
    "torch": ("pytorch", zipped({"model/data.pkl": b"\x80\x02}q\x00.", "model/version": b"3"})),
    "old torch": ("pytorch_legacy", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
    "safetensors": ("safetensors", struct.pack("<Q", 30) + b'{"w":{"dtype":"F32","shape":[]}' + bytes(8)),
    "old torch.export": ("torch_export_old", zipped({"serialized_exported_program.json": b"{}", "version": b"5.1"})),
    "TensorFlow Lite": ("tflite", b"\x1c\x00\x00\x00TFL3" + bytes(100)),
    "Core ML": ("coreml", b"\x08\x04\x12\x10" + bytes(100)),
    "PMML": ("pmml", b'<?xml version="1.0"?>\n<PMML version="4.4"><Header/></PMML>'),
    "OpenVINO": ("openvino", b'<?xml version="1.0"?>\n<net name="m" version="11"></net>'),
    "GGUF": ("gguf", b"GGUF\x03\x00\x00\x00" + bytes(40)),
    "CatBoost": ("catboost", b"CBM1" + bytes(40)),
    "old XGBoost": ("old_xgboost", b"binf" + bytes(100)),
    "LightGBM dump": ("lightgbm_json", b'{"name": "tree", "version": "v4", "tree_info": []}'),
    "numpy": ("npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}"),
    "numpy archive": ("npz", zipped({"a.npy": b"\x93NUMPY", "b.npy": b"\x93NUMPY"})),
    "picture": ("image", b"\x89PNG\r\n\x1a\n" + bytes(40)),
    "program": ("program", b"\x7fELF\x02\x01\x01" + bytes(40)),
    "document": ("document", b"%PDF-1.7\n"),
    "database": ("database", b"SQLite format 3\x00" + bytes(84)),
    "notebook": ("notebook", json.dumps({"cells": [], "nbformat": 4}).encode()),
    "code": ("code", b"import os\n\nos.remove('x')\n"),
    "page": ("html", b"<!DOCTYPE html><html><body>Sign in</body></html>"),
    "MLmodel": ("mlmodel", b"flavors:\n  onnx:\n    data: model.onnx\nmlflow_version: 3.1.0\n"),
    "note": ("text", b"Dear colleagues,\nthe model is attached.\n"),
    "Git LFS": ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"),
    "7-Zip": ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(40)),
    "Zstandard": ("zstd", b"\x28\xb5\x2f\xfd" + bytes(40)),
    "LZ4": ("lz4", b"\x04\x22\x4d\x18" + bytes(40)),
    "noise": ("unknown", bytes(range(255, 0, -1)) * 20),
    "truncated ONNX": ("onnx_truncated", graph()[:-20]),
    "a table": ("parquet", b"PAR1" + bytes(40)),
}


@pytest.mark.parametrize("label", FOREIGN)
def test_what_is_not_taken_is_refused_by_name_with_a_way_out(label: str, tmp_path: Path) -> None:
    kind, data = FOREIGN[label]
    report = examined(tmp_path, {"model.onnx": data})
    assert not report.verdict.accepted
    assert report.failed.check == "content"
    assert report.failed.details["kind"] == kind
    assert str(report.failed.reason) == foreign.FORMATS[kind][0]
    assert str(report.failed.advice)


def test_every_check_is_reported_in_order_even_after_a_refusal(tmp_path: Path) -> None:
    report = examined(tmp_path, {"x": b"not a model"})
    assert report.order == [
        ("content", "running"),
        ("content", "failed"),
        *((check, "skipped") for check in ("safety", "sandbox", "load", "signature", "predict", "convert", "profile")),
    ]


def test_onnx_is_recognised_and_its_outline_read() -> None:
    assert formats.recognise(graph()) == "onnx"
    found = onnx_files.outline(graph())
    assert found.producer == "pytorch"
    assert found.opsets == {"": 17}
    assert found.operators == {("", "MatMul")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"domain": "com.evil", "kind": "Run"}, "com.evil:Run"),
        ({"domain": "com.evil", "kind": "Run", "inner": True}, "com.evil:Run"),
        ({"domain": "com.microsoft", "kind": "EPContext"}, "com.microsoft:EPContext"),
    ],
)
def test_onnx_that_reads_files_or_brings_operators_is_refused(options: dict, words: str, tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.onnx": graph(**options)})
    assert report.failed.check == "safety"
    assert words in str(report.failed.reason)


@pytest.mark.parametrize("inner", [False, True])
def test_onnx_with_its_weights_elsewhere_is_refused(inner: bool, tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.onnx": graph(external=True, inner=inner)})
    assert report.failed.check == "content"
    assert "“../../etc/passwd”, which is not a plain file name" in str(report.failed.reason)


def test_functions_defined_in_an_onnx_file_are_its_own() -> None:
    model = onnx.load_from_string(graph(domain="mine", kind="Twice"))
    twice = helper.make_node("Add", ["a", "b"], ["c"])
    model.functions.append(helper.make_function("mine", "Twice", ["a", "b"], ["c"], [twice], model.opset_import[:1]))
    onnx_files.refuse_unsafe(onnx_files.outline(model.SerializeToString()))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.json", b'{"learner":{"attributes":{},"gradient_booster":{"model":'),
        ("model.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{"),
        ("model.txt", b"tree\nversion=v4\nnum_class=1\nTree=0\nnum_leaves=3\n"),
    ],
)
def test_a_truncated_booster_is_called_so(name: str, data: bytes, tmp_path: Path) -> None:
    report = examined(tmp_path, {name: data})
    assert report.failed.check == "content"
    assert "ends in the middle" in str(report.failed.reason)


def test_a_labels_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.onnx": graph(), "labels.json": b'{"0": ["cat"]}'})
    assert "labels.json" in str(report.failed.reason)


def test_two_models_are_one_too_many(tmp_path: Path) -> None:
    report = examined(tmp_path, {"a.onnx": graph(), "b.onnx": graph()})
    assert "a.onnx, b.onnx" in str(report.failed.reason)


def test_an_archive_without_a_model_says_so(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.zip": zipped({"README.md": b"# Hello", "data.csv": b"a,b\n1,2\n"})})
    assert "None of the 2 files" in str(report.failed.reason)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_recognised_as_something(data: bytes) -> None:
    assert formats.recognise(data) in foreign.FORMATS.keys() | formats.CONTAINERS | intake.ACCEPTED.keys()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_a_damaged_onnx_file_never_breaks_the_walk(place: int, patch: bytes) -> None:
    data = bytearray(graph())
    data[place % len(data) : place % len(data) + len(patch)] = patch
    formats.recognise(bytes(data))


def test_the_reader_of_archives_sees_through_streamed_ones(tmp_path: Path) -> None:
    """A zip written to a pipe says the sizes behind each file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model/note.txt", "w") as file:
        file.write(b"no model here")
    report = examined(tmp_path, {"m.zip": buffer.getvalue()})
    assert report.failed.details["kind"] == "text"
