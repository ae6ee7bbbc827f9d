"""A small real model and the specs to build it from."""

import hashlib
from pathlib import Path

from onnx import TensorProto, helper

from worker.specs import BuildSpec, Signature, SourceFile, Tensor

GOLDEN = {
    "request": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]},
    "response": {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [2.0, 4.0]}]},
}


def make_model(path: Path) -> SourceFile:
    """An ONNX model that doubles its input."""
    rows = ["N", 2]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, rows)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, rows)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return store_model(path, model.SerializeToString())


def store_model(path: Path, data: bytes) -> SourceFile:
    """A model's file, read-only under its digest as the artifact store keeps it."""
    digest = hashlib.sha256(data).hexdigest()
    stored = path / digest
    if not stored.exists():
        stored.write_bytes(data)
        stored.chmod(0o440)
    return SourceFile(stored, "model.onnx", digest, len(data))


def make_spec(path: Path, requirements: tuple[str, ...] = ()) -> BuildSpec:
    tensor = ((-1, 2),)
    signature = Signature((Tensor("x", "FP32", *tensor),), (Tensor("y", "FP32", *tensor),))
    return BuildSpec("double", "1", "sha256:subject", make_model(path), "onnx", signature, requirements, GOLDEN)
