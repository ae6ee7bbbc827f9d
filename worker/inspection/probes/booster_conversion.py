"""XGBoost and LightGBM to ONNX with onnxmltools."""

from pathlib import Path

import numpy as np
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from worker.inspection.probes.boosters import Booster
from worker.inspection.probes.graph_edits import name_outputs
from worker.inspection.probes.lightgbm_models import LightBooster
from worker.inspection.probes.models import Arrays

_CLASSES = ("binary", "multi", "cross_entropy", "reg:logistic")


def convert(model: Booster, target: Path, answers: Arrays) -> None:
    """Write the graph of the booster to ``target``; classifiers give ``label`` and ``probabilities``."""
    types = [("input", FloatTensorType([None, model.inputs[0].shape[1]]))]
    if isinstance(model, LightBooster):
        graph = convert_lightgbm(model.rounded(), initial_types=types, zipmap=False)
    else:
        graph = convert_xgboost(model.booster, initial_types=types)
    target.write_bytes(name_outputs(graph, list(expected(model, answers))).SerializeToString())


def expected(model: Booster, answers: Arrays) -> Arrays:
    """The booster's answers in the terms of the converted graph."""
    output = answers["output"]
    if not model.objective.startswith(_CLASSES[:2]) or model.objective == "binary:logitraw":
        return answers
    if model.objective == "multi:softmax":
        return {"label": output.astype(np.int64)}
    odds = output if output.ndim == 2 else np.stack([1 - output, output], axis=1)
    return {"label": odds.argmax(axis=1), "probabilities": odds}
