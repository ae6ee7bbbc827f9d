"""Native scikit-learn estimators, from a skops file: no pickle is ever opened."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sklearn
import skops.io

from ..errors import StartError
from ..manifest import Manifest
from ..tensors import Array, Tensor
from .base import Rejected
from .matrix import as_matrix, fit_output

# Which method fills which output of the signature; the first that the estimator has.
_METHODS = {
    "label": ("predict",),
    "probabilities": ("predict_proba",),
    "predict": ("predict",),
    "output": ("predict", "transform", "score_samples", "mahalanobis"),
    "distances": ("kneighbors",),
    "indices": ("kneighbors",),
}
_INNER = ("mahalanobis", "kneighbors")  # pipelines and searches do not pass them on: asked for inside
_PLACES = {"distances": 0, "indices": 1}  # of an answer that is several arrays


class SklearnModel:
    """One estimator or pipeline. Named columns are put side by side in the order of the signature.

    The examination has bound column transformers to places instead of names, so that no pandas is needed here.
    """

    def __init__(self, estimator: Any, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        self._inputs = inputs
        self._calls = tuple((_method(estimator, tensor), tensor) for tensor in outputs)
        self._is_list = len(inputs) == 1 and len(inputs[0].shape) == 1
        self.detail = f"scikit-learn {sklearn.__version__}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        table = self._table(inputs)
        try:
            return [fit_output(call(table), tensor) for call, tensor in self._calls]
        except ValueError as error:
            raise Rejected(str(error)) from error

    def _table(self, inputs: Sequence[Array]) -> Any:
        if self._is_list:  # vectorisers and encoders of labels take a plain sequence
            return inputs[0]
        is_mixed = any(tensor.datatype == "BYTES" for tensor in self._inputs)
        return as_matrix(inputs, np.object_ if is_mixed else np.float64)  # as it was fitted and examined


def _method(estimator: Any, tensor: Tensor) -> Callable[[Any], Array]:
    named = (_find(estimator, name) for name in _METHODS.get(tensor.name, ()))
    method: Callable[[Any], Array] | None = next(filter(None, named), None)
    if method is None:
        raise StartError(f"{type(estimator).__name__} offers nothing that fills the output {tensor.name!r}")
    place = _PLACES.get(tensor.name)
    return method if place is None else lambda table: method(table)[place]


def _find(estimator: Any, name: str) -> Callable[[Any], Any] | None:
    """The method of the estimator, or of what answers inside it with the steps before that in front."""
    found: Callable[[Any], Any] | None = getattr(estimator, name, None)
    if found or name not in _INNER:
        return found
    if hasattr(estimator, "best_estimator_"):
        return _find(estimator.best_estimator_, name)
    if not getattr(estimator, "steps", None):
        return None
    inner = _find(estimator.steps[-1][1], name)
    return inner and (lambda table: inner(estimator[:-1].transform(table)))


def load(manifest: Manifest, threads: int) -> SklearnModel:
    """Load with exactly the types that the manifest trusts; an unlisted type ends the start."""
    estimator = skops.io.load(manifest.file, trusted=list(manifest.trusted))
    return SklearnModel(estimator, manifest.signature.inputs, manifest.signature.outputs)
