"""Native scikit-learn estimators, from a skops file: no pickle is ever opened."""

import importlib
import importlib.util
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

# Which method fills which output of the signature.
_METHODS = {"label": "predict", "probabilities": "predict_proba", "predict": "predict", "output": "predict"}


class SklearnModel:
    """One estimator or pipeline. Columns that come as named tensors stay columns, so that transformers find them."""

    def __init__(self, estimator: Any, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        self._inputs = inputs
        self._calls = tuple((_method(estimator, tensor), tensor) for tensor in outputs)
        self._frame = _find_frame() if _is_table(inputs) else None
        self.detail = f"scikit-learn {sklearn.__version__}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        table = self._table(inputs)
        try:
            return [fit_output(call(table), tensor) for call, tensor in self._calls]
        except ValueError as error:
            raise Rejected(str(error)) from error

    def _table(self, inputs: Sequence[Array]) -> Any:
        if self._frame is not None:
            columns = {
                tensor.name: array.reshape(len(array)) for tensor, array in zip(self._inputs, inputs, strict=True)
            }
            return self._frame(columns)
        kinds = {tensor.dtype for tensor in self._inputs}
        return as_matrix(inputs, kinds.pop() if len(kinds) == 1 else np.object_)


def _is_table(inputs: tuple[Tensor, ...]) -> bool:
    return len(inputs) > 1 or len(inputs[0].shape) == 1


def _find_frame() -> Callable[[dict[str, Array]], Any] | None:
    """pandas' frame where the environment has pandas; without it the columns become a plain matrix in their order."""
    if importlib.util.find_spec("pandas") is None:
        return None
    frame: Callable[[dict[str, Array]], Any] = importlib.import_module("pandas").DataFrame
    return frame


def _method(estimator: Any, tensor: Tensor) -> Callable[[Any], Array]:
    name = _METHODS.get(tensor.name, "")
    method: Callable[[Any], Array] | None = getattr(estimator, name, None)
    if method is None:
        raise StartError(f"{type(estimator).__name__} offers nothing that fills the output {tensor.name!r}")
    return method


def load(manifest: Manifest, threads: int) -> SklearnModel:
    """Load with exactly the types that the manifest trusts; an unlisted type ends the start."""
    estimator = skops.io.load(manifest.file, trusted=list(manifest.trusted))
    return SklearnModel(estimator, manifest.signature.inputs, manifest.signature.outputs)
