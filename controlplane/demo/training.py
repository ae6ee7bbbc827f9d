"""Train the demonstration's models on the data sets that scikit-learn ships, and leave them in a folder.

Run as ``python -m controlplane.demo.training FOLDER``: the only module here that imports machine learning libraries,
and it runs in a process of its own. Everything is seeded, so two runs give models of the same quality.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FILTERS, SIZE, POOLED = 32, 3, 3
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits = train_test_split(*load_digits(return_X_y=True), test_size=0.25, random_state=7)
    cancer = train_test_split(*load_breast_cancer(return_X_y=True), test_size=0.25, random_state=7)
    scores = {
        "digits-logistic": train_logistic(folder, digits),
        "digits-forest": train_forest(folder, digits),
        "digits-convnet": train_convnet(folder, digits),
        "cancer-boosting": train_boosting(folder, cancer),
    }
    write_tampered(folder)
    keep_samples(folder / "digits.json", digits)
    keep_samples(folder / "cancer.json", cancer)
    (folder / "scores.json").write_text(json.dumps(scores))


def train_logistic(folder: Path, data: Arrays) -> float:
    train, test, labels, truth = data
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, labels)
    joblib.dump(model, folder / "digits-logistic.joblib")
    return float(model.score(test, truth))


def train_forest(folder: Path, data: Arrays) -> float:
    train, test, labels, truth = data
    model = RandomForestClassifier(100, random_state=7).fit(train, labels)
    joblib.dump(model, folder / "digits-forest.joblib", compress=3)
    return float(model.score(test, truth))


def train_boosting(folder: Path, data: Arrays) -> float:
    """Gradient boosting that says whether a tumour is benign, in LightGBM's own text format."""
    train, test, labels, truth = data
    settings: dict[str, Any] = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.08, "seed": 7}
    model = lightgbm.train({**settings, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(train, labels), 60)
    model.save_model(folder / "cancer-boosting.txt")
    return float(np.mean((np.asarray(model.predict(test)) > 0.5) == truth))


def train_convnet(folder: Path, data: Arrays) -> float:
    """A small convolutional net: filters learnt from patches by k-means, then a trained linear layer.

    (A. Coates, H. Lee, A. Ng: An Analysis of Single-Layer Networks in Unsupervised Feature Learning, 2011.)
    """
    train, test, labels, truth = data
    filters = learn_filters(train)
    head = LogisticRegression(max_iter=3000, C=0.3).fit(features(train, filters), labels)
    weights, bias = head.coef_.T.astype(np.float32), head.intercept_.astype(np.float32)
    onnx.save(convnet(filters, weights, bias), folder / "digits-convnet.onnx")
    return float(head.score(features(test, filters), truth))


def learn_filters(rows: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(as_images(rows), (SIZE, SIZE), axis=(1, 2))
    patches = windows.reshape(-1, SIZE * SIZE)
    patches = (patches - patches.mean(1, keepdims=True)) / (patches.std(1, keepdims=True) + 0.1)
    centres = MiniBatchKMeans(FILTERS, random_state=7, n_init=3).fit(patches).cluster_centers_
    return (centres / np.linalg.norm(centres, axis=1, keepdims=True)).reshape(FILTERS, 1, SIZE, SIZE).astype(np.float32)


def features(rows: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """What the net computes before its last layer: convolution, ReLU, 2×2 maximum; [n, 32 × 3 × 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(as_images(rows), (SIZE, SIZE), axis=(1, 2))
    maps = np.maximum(np.einsum("nijab,fab->nfij", windows, filters[:, 0]), 0)
    blocks = maps.reshape(len(rows), FILTERS, POOLED, 2, POOLED, 2)
    return blocks.max(axis=(3, 5)).reshape(len(rows), -1).astype(np.float32)


def as_images(rows: np.ndarray) -> np.ndarray:
    return (rows.reshape(-1, 8, 8) / 16).astype(np.float32)


def convnet(filters: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    shape = np.array([-1, 1, 8, 8], dtype=np.int64)
    constants = {
        "filters": filters,
        "weights": weights,
        "bias": bias,
        "shape": shape,
        "depth": np.array([16.0], np.float32),
    }
    nodes = [
        helper.make_node("Div", ["input", "depth"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "filters"], ["maps"], kernel_shape=[SIZE, SIZE]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="slipway-demo")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


class _Tampered:
    """What somebody could hide in a pickle; harmless here, and refused before anything is run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('os').getcwd()",)


def write_tampered(folder: Path) -> None:
    (folder / "downloaded.pkl").write_bytes(pickle.dumps({"model": _Tampered()}))


def keep_samples(path: Path, data: Arrays) -> None:
    """The held-out rows and their truth, for the traffic."""
    _train, test, _labels, truth = data
    path.write_text(json.dumps({"rows": test.tolist(), "labels": truth.tolist()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
