"""ONNX: checks a file in full, reads its signature from the session, predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from worker.inspection.probes.models import DTYPES, Arrays, Origin, Tensor
from worker.inspection.probes.reporting import Failure

_WORDS = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> "Graph":
    return Graph(path)


class Graph:
    """A session with one thread, as the runtime runs it."""

    library = "onnxruntime"

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [_tensor(node) for node in self.session.get_inputs()]
        outputs = self.session.get_outputs()
        self.outputs = [_tensor(node) for node in outputs if _word(node)]
        self.left_out = [node.name for node in outputs if not _word(node)]
        if not self.outputs:
            raise Failure("no_tensors", names=self.left_out)
        self.origin = Origin("graph")

    def predict(self, arrays: Arrays) -> Arrays:
        fed = {t.name: np.ascontiguousarray(arrays[t.name].astype(DTYPES[t.datatype], copy=False)) for t in self.inputs}
        names = [tensor.name for tensor in self.outputs]
        return dict(zip(names, self.session.run(names, fed), strict=True))

    def learn_outputs(self, answers: Arrays) -> None:
        """Complete shapes whose rank the file leaves open."""
        for index, tensor in enumerate(self.outputs):
            shape = answers[tensor.name].shape
            if len(shape) != len(tensor.shape):
                self.outputs[index] = Tensor(tensor.name, tensor.datatype, (-1,) * len(shape))


def _word(node: Any) -> str:
    """The protocol's word for a tensor's type; nothing for sequences, maps and types that it does not have."""
    return (
        _WORDS.get(node.type.removeprefix("tensor(").removesuffix(")"), "") if node.type.startswith("tensor(") else ""
    )


def _tensor(node: Any) -> Tensor:
    if not _word(node):
        raise Failure("unusual_type", name=node.name, type=node.type)
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape or ())
    return Tensor(node.name, _word(node), shape)
