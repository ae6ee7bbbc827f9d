"""scikit-learn to ONNX with skl2onnx."""

from pathlib import Path
from typing import Any

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from worker.inspection.probes.estimators import Estimator
from worker.inspection.probes.graph_edits import name_outputs
from worker.inspection.probes.models import Arrays, Tensor


def convert(model: Estimator, target: Path, answers: Arrays) -> None:
    """Write the graph of the model to ``target``, with the outputs that ``answers`` has."""
    inner: Any = model.model
    while hasattr(inner, "best_estimator_"):
        inner = inner.best_estimator_
    options = {id(inner): {"zipmap": False}} if "probabilities" in answers else None
    graph = convert_sklearn(inner, initial_types=[_initial_type(t) for t in model.inputs], options=options)
    target.write_bytes(name_outputs(graph, list(answers)).SerializeToString())


def _initial_type(tensor: Tensor) -> tuple[str, Any]:
    shape = [None if size < 0 else size for size in tensor.shape]
    return tensor.name, (StringTensorType if tensor.datatype == "BYTES" else FloatTensorType)(shape)


def expected(model: Estimator, answers: Arrays) -> Arrays:
    return answers
