"""Bundles as the builder lays them out, with real models small enough to be made in the test run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import skops.io
import xgboost
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

RUNTIME = Path(__file__).parents[2] / "worker" / "runtime"

Row = tuple[str, str, list[int]]


def write_bundle(
    folder: Path,
    model: bytes,
    inputs: Sequence[Row],
    outputs: Sequence[Row],
    *,
    name: str = "digits",
    format: str = "onnx",
    **extra: Any,
) -> Path:
    """Lay out one bundle in ``folder``; ``extra`` goes into the manifest as it is."""
    file = {"onnx": "model.onnx", "skops": "model.skops", "xgboost": "model.ubj", "lightgbm": "model.txt"}[format]
    (folder / "model").mkdir(parents=True)
    (folder / "model" / file).write_bytes(model)
    (folder / "slipway_runtime").symlink_to(RUNTIME, target_is_directory=True)
    manifest = {
        "model": name,
        "version": "3",
        "subject": "sha256:" + "ab" * 32,
        "format": format,
        "file": f"model/{file}",
        "sha256": hashlib.sha256(model).hexdigest(),
        "signature": {"inputs": _tensors(inputs), "outputs": _tensors(outputs)},
        **extra,
    }
    (folder / "slipway.json").write_text(json.dumps(manifest))
    return folder


def _tensors(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in rows]


def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return data.data.astype(np.float32), data.target


DIGITS_INPUT: Row = ("X", "FP32", [-1, 64])
CLASSIFIER_OUTPUTS: list[Row] = [("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 10])]


def make_classifier(estimator: Any) -> tuple[Any, bytes]:
    """A classifier fitted on digits, and the ONNX graph that it was converted to."""
    features, target = digits()
    estimator.fit(features, target)
    graph = to_onnx(estimator, features[:1], options={"zipmap": False}, target_opset=18)
    return estimator, graph.SerializeToString()


def logistic_bundle(folder: Path, **extra: Any) -> Path:
    _, model = make_classifier(LogisticRegression(max_iter=50, tol=0.1))
    return write_bundle(folder, model, [DIGITS_INPUT], CLASSIFIER_OUTPUTS, **extra)


def forest_bundle(folder: Path, trees: int = 100, **extra: Any) -> Path:
    _, model = make_classifier(RandomForestClassifier(n_estimators=trees, random_state=0))
    return write_bundle(folder, model, [DIGITS_INPUT], CLASSIFIER_OUTPUTS, **extra)


def _graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Sequence[Any] = ()) -> bytes:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def conv_bundle(folder: Path) -> Path:
    """One strided convolution over images of any count."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    model = _graph(
        [helper.make_node("Conv", ["image", "weights"], ["features"], strides=[8, 8])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 4, 4, 4])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    inputs: list[Row] = [("image", "FP32", [-1, 3, 32, 32])]
    return write_bundle(folder, model, inputs, [("features", "FP32", [-1, 4, 4, 4])], name="conv")


ECHO_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def echo_bundle(folder: Path, tensors: Mapping[str, str] | None = None) -> Path:
    """Gives every input back unchanged under ``<name>_out``: these names of some datatype, or one of each datatype."""
    tensors = tensors or {datatype: datatype for datatype in ECHO_TYPES}
    model = _graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in tensors],
        [helper.make_tensor_value_info(name, ECHO_TYPES[kind], ["n", 2]) for name, kind in tensors.items()],
        [helper.make_tensor_value_info(f"{name}_out", ECHO_TYPES[kind], ["n", 2]) for name, kind in tensors.items()],
    )
    inputs: list[Row] = [(name, kind, [-1, 2]) for name, kind in tensors.items()]
    outputs: list[Row] = [(f"{name}_out", kind, [-1, 2]) for name, kind in tensors.items()]
    return write_bundle(folder, model, inputs, outputs, name="echo")


def centre_bundle(folder: Path) -> Path:
    """Subtracts the mean over all rows: a free first dimension whose rows must not be joined."""
    model = _graph(
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(np.array([0], np.int64), "axes")],
    )
    golden = {"request": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}]}}
    return write_bundle(folder, model, [("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 2])], name="centre", golden=golden)


def picky_bundle(folder: Path) -> Path:
    """Looks rows up by index: an index past the table fails the whole run it is in."""
    table = np.arange(20, dtype=np.float32).reshape(10, 2)
    model = _graph(
        [helper.make_node("Gather", ["table", "row"], ["found"], axis=0)],
        [helper.make_tensor_value_info("row", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(table, "table")],
    )
    return write_bundle(folder, model, [("row", "INT64", [-1])], [("found", "FP32", [-1, 2])], name="picky")


def heavy_bundle(folder: Path, rounds: int, **extra: Any) -> Path:
    """Multiplies each row through a matrix ``rounds`` times: slow enough to run in the worker thread."""
    size = 384
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0].astype(np.float32)
    nodes = [helper.make_node("MatMul", [f"x{i}", "matrix"], [f"x{i + 1}"]) for i in range(rounds)]
    model = _graph(
        nodes,
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info(f"x{rounds}", TensorProto.FLOAT, ["n", size])],
        [onnx.numpy_helper.from_array(matrix, "matrix")],
    )
    rows: list[Row] = [("x0", "FP32", [-1, size])]
    return write_bundle(folder, model, rows, [(f"x{rounds}", "FP32", [-1, size])], name="heavy", **extra)


def xgboost_bundle(folder: Path) -> tuple[Path, xgboost.Booster]:
    features, target = digits()
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 10, "max_depth": 3, "nthread": 1},
        xgboost.DMatrix(features, target),
        num_boost_round=5,
    )
    model = bytes(booster.save_raw("ubj"))
    return write_bundle(
        folder, model, [("input", "FP32", [-1, 64])], [("output", "FP32", [-1, 10])], format="xgboost", name="trees"
    ), booster


def lightgbm_bundle(folder: Path) -> tuple[Path, lightgbm.Booster]:
    features, target = digits()
    booster = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(features, target.astype(np.float32)),
        num_boost_round=5,
    )
    model = booster.model_to_string().encode()
    return write_bundle(
        folder, model, [("input", "FP32", [-1, 64])], [("output", "FP32", [-1])], format="lightgbm", name="trees"
    ), booster


def sklearn_bundle(folder: Path) -> tuple[Path, RandomForestClassifier]:
    """A forest, native: milliseconds a call, so it runs in the thread."""
    features, target = digits()
    forest = RandomForestClassifier(n_estimators=30, random_state=0).fit(features, target)
    model = skops.io.dumps(forest)
    trusted = skops.io.get_untrusted_types(data=model)
    rows: list[Row] = [("input", "FP32", [-1, 64])]
    return write_bundle(folder, model, rows, CLASSIFIER_OUTPUTS, format="skops", trusted=trusted), forest


def columns_bundle(folder: Path) -> tuple[Path, LinearRegression]:
    """A regression over two named columns."""
    features = np.random.default_rng(0).normal(size=(50, 2))
    estimator = LinearRegression().fit(features, features @ [2.0, -3.0] + 1.0)
    model = skops.io.dumps(estimator)
    columns: list[Row] = [("height", "FP64", [-1]), ("weight", "FP64", [-1, 1])]
    return write_bundle(folder, model, columns, [("output", "FP64", [-1])], format="skops", name="line"), estimator
