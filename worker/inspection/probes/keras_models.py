"""Keras on PyTorch (as ``converting`` sets it): opens files once they were looked through, and exports them to ONNX."""

import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from worker.inspection import keras_config
from worker.inspection.probes import hdf5_files, samples
from worker.inspection.probes.graph_edits import name_inputs, name_outputs
from worker.inspection.probes.models import Arrays, Origin, Tensor
from worker.inspection.probes.reporting import Failure

ROWS = 12
_WORDS = {
    "bool": "BOOL", "uint8": "UINT8", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip


def open_model(path: Path, kind: str) -> "KerasModel":
    """The model in a file; refuses what the control plane could not see in it."""
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    if kind == "hdf5":
        notes = hdf5_files.check(path)
        _check_classes(notes.config)
        copy = folder / "model.h5"
        copy.symlink_to(path)
        return KerasModel(copy, notes.version)
    weights = folder / "weights.h5"
    with zipfile.ZipFile(path) as archive:
        weights.write_bytes(archive.read("model.weights.h5"))
    hdf5_files.check(weights)
    weights.unlink()
    copy = folder / "model.keras"
    copy.symlink_to(path)
    return KerasModel(copy)


def _check_classes(config: str) -> None:
    try:
        keras_config.check(config)
    except keras_config.Unlisted as error:
        raise Failure("keras_class", name=error.name) from error
    except keras_config.Unreadable as error:
        raise Failure("no_keras_model") from error


class KerasModel:
    """A model with our signature around it."""

    library = "keras"

    def __init__(self, path: Path, version: str = "") -> None:
        self.model: Any = keras.models.load_model(path, compile=False, safe_mode=True)
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.names: list[str] = []
        self.has_free_rows = False
        self.origin = Origin(type(self.model).__name__, version)

    def learn_inputs(self, example: Any) -> Arrays:
        for tensor in self.model.inputs:
            if tensor.dtype not in _WORDS:
                raise Failure("unusual_inputs", names=[str(tensor.name)])
            shape = tuple(-1 if size is None else int(size) for size in tensor.shape)
            self.inputs.append(Tensor(str(tensor.name), _WORDS[tensor.dtype], shape))
        self.has_free_rows = all(tensor.shape[:1] == (-1,) for tensor in self.inputs)
        return samples.for_tensors(self.inputs, ROWS)

    def predict(self, arrays: Arrays) -> Arrays:
        given = [arrays[tensor.name] for tensor in self.inputs]
        answer = self.model(given[0] if len(given) == 1 else given, training=False)
        answers = list(answer.values()) if isinstance(answer, dict) else answer
        answers = list(answers) if isinstance(answers, list | tuple) else [answers]
        self.names = ["output"] if len(answers) == 1 else [f"output_{index}" for index in range(len(answers))]
        return {name: np.asarray(each.detach().cpu()) for name, each in zip(self.names, answers, strict=True)}

    def convert(self, target: Path) -> None:
        self.model.export(str(target), format="onnx", verbose=False)
        _rename(target, [tensor.name for tensor in self.inputs], self.names)


def _rename(target: Path, inputs: list[str], outputs: list[str]) -> None:
    """The names that the model has, where the exporter made up others."""
    graph = onnx.load(target)
    name_inputs(graph, inputs)
    target.write_bytes(name_outputs(graph, outputs).SerializeToString())
