"""scikit-learn to ONNX with skl2onnx."""

import copy
from pathlib import Path
from typing import Any

from onnx import NodeProto, helper
from skl2onnx import __max_supported_opset__, convert_sklearn
from skl2onnx.common import _container
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from worker.inspection.probes.estimators import Estimator, parts_of
from worker.inspection.probes.graph_edits import (
    compare_in_floats,
    fill_in_doubles,
    name_inputs,
    name_outputs,
    set_locale,
    take_floats,
)
from worker.inspection.probes.models import Arrays, Tensor
from worker.inspection.probes.samples import round_down

_TYPES = {
    "BOOL": BooleanTensorType, "INT64": Int64TensorType, "FP32": FloatTensorType, "FP64": DoubleTensorType,
    "BYTES": StringTensorType,
}  # fmt: skip
_OPSETS = {"": __max_supported_opset__, "ai.onnx.ml": 3}  # isolation forests need the third


def convert(model: Estimator, target: Path, answers: Arrays, *, is_exact: bool = False) -> None:
    """Write the graph of the model to ``target``, with the outputs that ``answers`` has.

    It calculates with FP32, or, ``is_exact``, with FP64 as scikit-learn does, which is slower.
    """
    inner: Any = model.model
    while hasattr(inner, "best_estimator_"):
        inner = inner.best_estimator_
    inner = _prepared(inner, is_exact)
    options = {id(inner): {"zipmap": False}} if "probabilities" in answers else None
    types = [_initial_type(tensor, f"column{index}", is_exact) for index, tensor in enumerate(model.inputs)]
    graph = convert_sklearn(inner, initial_types=types, options=options, target_opset=_OPSETS)
    name_inputs(graph, [tensor.name for tensor in model.inputs])
    if is_exact:
        take_floats(graph, [tensor.name for tensor in model.inputs if tensor.datatype == "FP32"])
        fill_in_doubles(graph, [part.statistics_ for part in parts_of(inner) if _fills_numbers(part)])
        if not any(hasattr(part, "_predictors") for part in parts_of(inner)):  # histogram trees compare FP64
            compare_in_floats(graph)
    target.write_bytes(set_locale(name_outputs(graph, list(answers))).SerializeToString())


def expected(model: Estimator, answers: Arrays) -> Arrays:
    """The model's answers in the terms of the converted graph: the same."""
    return answers


def _initial_type(tensor: Tensor, name: str, is_exact: bool) -> tuple[str, Any]:
    """An input under a name that skl2onnx leaves alone; it replaces what is not letters and digits."""
    shape = [None if size < 0 else size for size in tensor.shape]
    return name, _TYPES["FP64" if is_exact and tensor.datatype == "FP32" else tensor.datatype](shape)


def _prepared(model: Any, is_exact: bool) -> Any:
    """The same model in a form that skl2onnx converts faithfully.

    Steps that fill in missing words are left out: a BYTES tensor has none, and skl2onnx refuses them. Thresholds of
    histogram trees are rounded down to float32, which for inputs of float32 changes nothing: ``x <= t`` exactly if
    ``x <= floor32(t)``.
    """
    if not any(_fills_words(part) or hasattr(part, "_predictors") for part in parts_of(model)):
        return model
    model = copy.deepcopy(model)
    for part in parts_of(model):
        if isinstance(part, Pipeline):
            part.steps = [(name, step) for name, step in part.steps if not _fills_words(step)] or part.steps
        stages = () if is_exact else getattr(part, "_predictors", ())
        for predictor in [predictor for stage in stages for predictor in stage]:
            predictor.nodes["num_threshold"] = round_down(predictor.nodes["num_threshold"])
    return model


def _fills_words(step: Any) -> bool:
    return _fills(step) and step.statistics_.dtype == object


def _fills_numbers(step: Any) -> bool:
    return _fills(step) and step.statistics_.dtype != object


def _fills(step: Any) -> bool:
    return isinstance(step, SimpleImputer) and getattr(step, "statistics_", None) is not None


def _make_node(kind: str, inputs: Any, outputs: Any, **attributes: Any) -> NodeProto:
    """As onnx' own, with truth values among whole numbers written as those: skl2onnx 1.20 leaves them in."""
    whole: dict[str, Any] = {
        name: [int(item) if isinstance(item, bool) else item for item in value] if isinstance(value, list) else value
        for name, value in attributes.items()
    }
    return helper.make_node(kind, inputs, outputs, **whole)


_container.make_node = _make_node
