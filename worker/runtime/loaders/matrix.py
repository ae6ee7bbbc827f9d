"""Between named tensors and the one matrix that tabular libraries take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..tensors import Array, Tensor


def as_matrix(inputs: Sequence[Array], dtype: DTypeLike) -> Array:
    """One [rows, features] matrix: the only input itself, or one column for each named input."""
    if len(inputs) == 1 and inputs[0].ndim == 2:
        return np.ascontiguousarray(inputs[0], dtype)
    return np.column_stack([array.reshape(len(array)) for array in inputs]).astype(dtype, copy=False)


def fit_output(values: Any, tensor: Tensor) -> Array:
    """The library's answer in the rank that the signature promises: [rows] and [rows, 1] are the same numbers.

    A few give one row without its first dimension.
    """
    array: Array = values.toarray() if hasattr(values, "toarray") else np.asarray(values)  # some answer sparse
    if array.ndim == len(tensor.shape):
        return array
    if array.ndim == 1:
        return array.reshape(-1, tensor.shape[1] if tensor.shape[1] > 0 else 1)
    return array.reshape(-1) if array.shape[1:] == (1,) else array
