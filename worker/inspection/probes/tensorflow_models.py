"""TensorFlow: opens a SavedModel, answers with its serving signature, and converts that with tf2onnx."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf2onnx.convert
from tf2onnx import tf_loader

from worker.inspection.probes import samples
from worker.inspection.probes.graph_edits import name_inputs, name_outputs
from worker.inspection.probes.models import Arrays, Origin, Tensor
from worker.inspection.probes.reporting import Failure

ROWS = 12
OPSET = 18
_SERVING = ("serving_default", "serve", "predict")
_WORDS = {
    tf.bool: "BOOL", tf.uint8: "UINT8", tf.int8: "INT8", tf.int16: "INT16", tf.int32: "INT32", tf.int64: "INT64",
    tf.float16: "FP16", tf.float32: "FP32", tf.float64: "FP64",
}  # fmt: skip


def open_model(path: Path, kind: str) -> "SavedModel":
    """The model in the folder of this graph."""
    return SavedModel(path.parent)


class SavedModel:
    """One signature of a SavedModel, with ours around it."""

    library = "tensorflow-cpu"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: Any = tf.saved_model.load(str(folder))
        known = list(self.loaded.signatures)
        self.name = next((name for name in (*_SERVING, *known) if name in known), "")
        if not self.name:
            raise Failure("no_signature")
        self.function: Any = self.loaded.signatures[self.name]
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.names = sorted(self.function.structured_outputs)
        self.has_free_rows = False
        self.origin = Origin("SavedModel", notes={"signature": self.name})

    def learn_inputs(self, example: Any) -> Arrays:
        specs: dict[str, Any] = self.function.structured_input_signature[1]
        for name, spec in sorted(specs.items()):
            if spec.dtype not in _WORDS or spec.shape.rank is None:
                raise Failure("unusual_inputs", names=[name])
            shape = tuple(-1 if size is None else int(size) for size in spec.shape)
            self.inputs.append(Tensor(name, _WORDS[spec.dtype], shape))
        self.has_free_rows = all(tensor.shape[:1] == (-1,) for tensor in self.inputs)
        return samples.for_tensors(self.inputs, ROWS)

    def predict(self, arrays: Arrays) -> Arrays:
        answers = self.function(**{tensor.name: tf.constant(arrays[tensor.name]) for tensor in self.inputs})
        return {name: np.asarray(answers[name].numpy()) for name in self.names}

    def convert(self, target: Path) -> None:
        """Freeze the variables and write the graph, under the names of the signature."""
        frozen, inputs, outputs = tf_loader.from_saved_model(
            str(self.folder), None, None, tag=["serve"], signatures=[self.name]
        )[:3]
        graph, _ = tf2onnx.convert.from_graph_def(frozen, opset=OPSET, input_names=inputs, output_names=outputs)
        taken = dict(zip(inputs, sorted(tensor.name for tensor in self.inputs), strict=True))
        given = dict(zip(outputs, self.names, strict=True))
        name_inputs(graph, [taken[value.name] for value in graph.graph.input])
        named = name_outputs(graph, [given[value.name] for value in graph.graph.output])
        target.write_bytes(named.SerializeToString())
