"""Writes the model folders below ``mlflow/`` with the real mlflow, each as a zip, and ``answers.json`` beside them.

The answers are those of each model as mlflow loads it, to the first rows, under the names of our signatures.

Run it in an environment of its own: ``pip install mlflow scikit-learn xgboost-cpu lightgbm onnx onnxruntime skops``,
then ``python make_mlflow.py`` in an empty folder, since mlflow packs a project's files along. The tests need none of
them: they read what was written.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from onnx import helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X = np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
ROWS = X[:8]
TABLE = pd.DataFrame(X.astype(float), columns=["sepal length", "sepal width", "petal_length", "petal_width"])


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


def graph() -> Any:
    weight = numpy_helper.from_array(np.eye(4, 3, dtype=np.float32), "w")
    sides = helper.make_tensor_value_info("x", 1, ["rows", 4]), helper.make_tensor_value_info("y", 1, ["rows", 3])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    made = helper.make_graph(nodes, "g", [sides[0]], [sides[1]], [weight])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_all(root: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, Y)
    table = {"signature": infer_signature(TABLE, pipeline.predict(TABLE)), "input_example": TABLE[:2]}
    for form in ("pickle", "cloudpickle", "skops"):
        mlflow.sklearn.save_model(pipeline, root / f"sklearn-{form}", serialization_format=form, **table)
    plain = LogisticRegression().fit(X, Y)
    tensor = {"signature": infer_signature(X, plain.predict(X)), "input_example": X[:2]}
    mlflow.sklearn.save_model(plain, root / "sklearn-tensor", serialization_format="pickle", **tensor)
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, Y), 3)
    mlflow.xgboost.save_model(booster, root / "xgboost-json", model_format="json")
    mlflow.xgboost.save_model(xgboost.XGBClassifier(n_estimators=3).fit(X, Y), root / "xgboost-sk")
    light = lightgbm.train({"objective": "binary", "min_data_in_leaf": 5}, lightgbm.Dataset(X, Y), 3)
    mlflow.lightgbm.save_model(light, root / "lightgbm", signature=infer_signature(TABLE, light.predict(X)))
    mlflow.lightgbm.save_model(lightgbm.LGBMClassifier(n_estimators=3).fit(TABLE, Y), root / "lightgbm-sk")
    mlflow.onnx.save_model(graph(), root / "onnx", signature=infer_signature(X, X[:, :3]), input_example=X[:2])
    mlflow.pyfunc.save_model(root / "pyfunc", python_model=Echo())


def answers_of(folder: Path) -> dict[str, Any]:
    """What the model in a folder says to ``ROWS``, loaded by mlflow's own part for its library."""
    if folder.name == "onnx":
        session = onnxruntime.InferenceSession(mlflow.onnx.load_model(folder).SerializeToString())
        return {"y": session.run(["y"], {"x": ROWS})[0].tolist()}
    model = getattr(mlflow, folder.name.partition("-")[0]).load_model(folder)
    if hasattr(model, "predict_proba"):
        odds = model.predict_proba(TABLE[: len(ROWS)] if hasattr(model, "feature_names_in_") else ROWS)
    else:
        scores = model.predict(xgboost.DMatrix(ROWS) if isinstance(model, xgboost.Booster) else ROWS)
        odds = np.stack([1 - scores, scores], axis=1)
    return {"label": odds.argmax(axis=1).tolist(), "probabilities": odds.tolist()}


def pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder.parent)), (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("mlflow"))
    with tempfile.TemporaryDirectory() as folder:
        save_all(Path(folder))
        answers = {model.name: answers_of(model) for model in sorted(Path(folder).iterdir()) if model.name != "pyfunc"}
        (target / "answers.json").write_text(json.dumps({"rows": ROWS.tolist(), "answers": answers}, indent=1) + "\n")
        for model in Path(folder).iterdir():
            pack(model, target / f"{model.name}.zip")
