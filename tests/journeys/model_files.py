"""Files that people upload: small models of scikit-learn's digits, and files that must be refused."""

import json
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CARD = f"""# Digits

Reads **handwritten digits**. {SCRIPT} [a link](javascript:document.title='owned')
"""


def write_files(folder: Path) -> None:
    """Everything that the journeys upload, under the names that they ask for."""
    rows, labels = load_digits(return_X_y=True)
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels)
    joblib.dump(regression, folder / "digits.joblib")
    tree = DecisionTreeClassifier(max_depth=12, random_state=7).fit(rows, labels)
    (folder / "digits-tree.pkl").write_bytes(pickle.dumps(tree))
    onnx.save(doubling(), folder / "double.onnx")
    (folder / "README.md").write_text(CARD)
    (folder / "digits.json").write_text(json.dumps({"rows": rows[:100].tolist(), "labels": labels[:100].tolist()}))
    (folder / "malicious.pkl").write_bytes(pickle.dumps({"model": Malicious()}))
    (folder / "truncated.joblib").write_bytes((folder / "digits.joblib").read_bytes()[:2000])
    (folder / "language.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(500))


def doubling(factor: float = 2.0) -> onnx.ModelProto:
    """The smallest model that does something: twice its input, or so many times."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.array([factor], np.float32), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


class Malicious:
    """Runs a program when it is loaded: what a pickle must never be trusted with."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('os').system('touch /tmp/slipway-was-here')",)
