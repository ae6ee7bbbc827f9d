"""Keras files: judged by an exact list of classes, their HDF5 looked through in the sandbox, converted on PyTorch."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.worker.inspection.examining import environment_of, examined
from tests.worker.inspection.malice import zipped
from worker import sandbox
from worker.inspection import formats, keras_config, keras_files
from worker.inspection.refusals import Refusal

DATA = Path(__file__).with_name("data") / "keras"
PROBES = Path(keras_files.__file__).with_name("probes")

needs_sandbox = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / "model.keras") as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def packed(files: dict[str, bytes], folder: Path) -> bytes:
    """As Keras writes it: nothing is compressed."""
    with zipfile.ZipFile(folder / "m", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return (folder / "m").read_bytes()


@pytest.mark.parametrize("name", ["model.keras", "functional.keras"])
def test_real_files_are_recognised_and_pass(name: str) -> None:
    data = (DATA / name).read_bytes()
    assert formats.recognise(data) == "keras"
    assert {"Dense", "InputLayer"} <= keras_files.read_archive(data).classes


def test_classes_that_read_or_run_are_not_on_the_list() -> None:
    listed = set().union(*keras_config.classes().values())
    assert len(listed) > 300
    assert not listed & {
        "Lambda", "StringLookup", "IntegerLookup", "TextVectorization", "TFSMLayer", "TorchModuleWrapper", "JaxLayer",
        "FlaxLayer", "Layer", "Wrapper", "MelSpectrogram", "Hashing",
    }  # fmt: skip


def layer(**more: Any) -> dict[str, Any]:
    node = {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None} | more
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [node]}, "registered_name": None}


NODES: dict[str, dict[str, Any]] = {
    "Lambda": layer(class_name="Lambda", config={"function": {"class_name": "__lambda__", "config": {"code": "4wE="}}}),
    "a lambda inside": layer(config={"activation": {"class_name": "__lambda__", "config": {"value": "x"}}}),
    "another module": layer(module="os", class_name="system"),
    "another module of Keras": layer(module="keras.src.utils.file_utils", class_name="get_file"),
    "a function": layer(config={"activation": {"module": "builtins", "class_name": "function", "config": "eval"}}),
    "a class of one's own": layer(registered_name="mine>Dense"),
    "a package's class": layer(module="mine.layers", class_name="Dense", registered_name="Dense"),
    "a vocabulary": layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
    "text with a vocabulary": layer(class_name="TextVectorization", config={"vocabulary": "/etc/passwd"}),
    "a SavedModel inside": layer(class_name="TFSMLayer", config={"filepath": "/tmp/x"}),
    "a module of torch": layer(class_name="TorchModuleWrapper", config={"module": "gASV"}),
    "a function's name as a module": layer(module={"a": 1}),
    "a class that is no text": layer(class_name=["Dense"]),
    "a lone module": layer(config={"x": {"module": "os"}}),
    "a type": layer(config={"x": {"class_name": "__typespec__", "spec_name": "os.system"}}),
    "a bare module inside a branch": layer(config={"layer": {"class_name": "Lambda", "config": {}}}),
}


@pytest.mark.parametrize("label", NODES)
def test_classes_off_the_list_are_refused_by_name(label: str, tmp_path: Path) -> None:
    data = packed(members() | {"config.json": json.dumps(NODES[label]).encode()}, tmp_path)
    with pytest.raises(Refusal) as error:
        keras_files.read_archive(data)
    assert "not on the list of layers" in str(error.value.reason)
    assert "model.export" in str(error.value.advice)


BROKEN: dict[str, dict[str, bytes]] = {
    "no JSON": {"config.json": b"{"},
    "deep JSON": {"config.json": b"[" * 500_000},
    "no object": {"config.json": b"[]"},
    "no class": {"config.json": b"{}"},
    "no HDF5": {"model.weights.h5": b"x" * 100},
    "a vocabulary": {"assets/vocabulary.txt": b"root:x:0:0"},
    "a pickle": {"data.bin": b"\x80\x04."},
}


@pytest.mark.parametrize("label", BROKEN)
def test_files_that_keras_does_not_write_are_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        keras_files.read_archive(packed(members() | BROKEN[label], tmp_path))


def test_compressed_weights_are_refused() -> None:
    with pytest.raises(Refusal):
        keras_files.read_archive(zipped(members()))


def test_hdf5_without_a_model_is_refused_before_anything_opens_it(tmp_path: Path) -> None:
    report = examined(tmp_path, {"w.h5": b"\x89HDF\r\n\x1a\n" + bytes(200)})
    assert report.failed.check == "safety"
    assert "without a whole Keras model" in str(report.failed.reason)


@pytest.mark.engine
@needs_sandbox
@pytest.mark.parametrize(("name", "inputs"), [("model.keras", ["x"]), ("model.h5", ["x"])])
def test_a_model_is_converted_in_an_environment_with_pytorch(name: str, inputs: list[str], tmp_path: Path) -> None:
    report = examined(tmp_path, {"model": DATA / name}, environments=environment_of("torch"))
    assert report.verdict.accepted, report.checks
    assert (report.verdict.framework, report.verdict.served_format) == ("keras", "onnx")
    assert report.verdict.signature
    assert [tensor.name for tensor in report.verdict.signature.inputs] == inputs
    assert report.verdict.parity["max_abs_diff"] < 1e-5


@pytest.mark.engine
@needs_sandbox
def test_a_class_off_the_list_in_hdf5_is_refused_in_the_sandbox(tmp_path: Path) -> None:
    data = (DATA / "model.h5").read_bytes().replace(b'"class_name": "Dense"', b'"class_name": "Other"')
    report = examined(tmp_path, {"model.h5": data}, environments=environment_of("torch"))
    assert report.failed.check == "load"
    assert "Other" in str(report.failed.reason)


# Files that h5py writes and Keras never does; each line leaves the file open as ``f``.
HDF5 = {
    "a link to another file": 'f["w"] = h5py.ExternalLink("/etc/passwd", "/x")',
    "a link to itself": 'f["w"] = h5py.SoftLink("/")',
    "data of another file": 'f.create_dataset("w", (4,), "u1", external=[("/etc/passwd", 0, 4)])',
    "a virtual array": """
layout = h5py.VirtualLayout((4,), "u1"); layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
f.create_virtual_dataset("w", layout)""",
    "an array of terabytes": 'f.create_dataset("w", (1 << 40,), "f4", chunks=(1 << 10,))',
    "an array of objects": 'f.create_dataset("w", (2,), h5py.string_dtype())',
    "a type of its own": 'f["w"] = np.dtype("f4")',
    "folders without end": 'g = f\nfor _ in range(40): g = g.create_group("g")',
    "a circle": 'f.create_group("a"); f["a/b"] = f["a"]',
}
_SCRIPT = """
import sys; from pathlib import Path; from types import ModuleType
for name, place in (("worker", {worker!r}), ("worker.inspection", {inspection!r})):
    sys.modules[name] = ModuleType(name); sys.modules[name].__path__ = [place]
import h5py, numpy as np
from worker.inspection.probes import hdf5_files
from worker.inspection.probes.reporting import Failure
for line in {lines!r}:
    path = Path({folder!r}) / "bad.h5"
    with h5py.File(path, "w") as f: exec(line)
    try: hdf5_files.check(path); print("passed", line)
    except Failure as failure: print(failure.code)
print(len(hdf5_files.check(Path({good!r})).config) > 100)
"""


@pytest.mark.engine
def test_hdf5_that_reaches_beyond_itself_is_refused_before_keras(tmp_path: Path) -> None:
    """The look-through alone, with the real h5py: files that we make ourselves need no sandbox."""
    script = _SCRIPT.format(
        worker=str(PROBES.parents[1]), inspection=str(PROBES.parent), lines=list(HDF5.values()), folder=str(tmp_path),
        good=str(DATA / "model.h5"),
    )  # fmt: skip
    python = environment_of("torch").prepare("torch") / "bin" / "python"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n") == ["hdf5"] * len(HDF5) + ["True", ""], done.stderr
