"""What every loaded model can do, whatever its library."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
    "BYTES": np.object_,
}  # fmt: skip


NAMED = 1000  # columns of a table whose names are kept
NAME = 128  # characters of one


@dataclass(frozen=True)
class Tensor:
    """One input or output: a word of the Open Inference Protocol for its type; −1 is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    columns: tuple[str, ...] = ()  # names of the last dimension's places, where the model knows them

    def to_json(self) -> dict[str, Any]:
        named = {"columns": list(self.columns)} if self.columns else {}
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape), **named}


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, as far as the file tells."""

    kind: str  # the class, or the producer
    version: str = ""  # of the library that wrote it
    classes: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """A loaded model: ``predict`` takes and gives arrays by the names of ``inputs`` and ``outputs``."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    origin: Origin

    def predict(self, arrays: Arrays) -> Arrays: ...


def fitting(names: Iterable[Any], width: int) -> tuple[str, ...]:
    """The names, where there is a different one for each of so many columns; a wider table is shown without."""
    texts = tuple(str(name)[:NAME] for name in names)
    return texts if len(texts) == len(set(texts)) == width <= NAMED else ()


def datatype_of(array: np.ndarray) -> str:
    """The protocol's word for an array's element type; text and objects are BYTES."""
    for word, dtype in DTYPES.items():
        if array.dtype == dtype:
            return word
    return "BYTES"


def to_request(arrays: Arrays, inputs: list[Tensor]) -> dict[str, Any]:
    return {"inputs": [_tensor_json(t, arrays[t.name]) for t in inputs]}


def to_response(arrays: Arrays, outputs: list[Tensor]) -> dict[str, Any]:
    return {"outputs": [_tensor_json(t, arrays[t.name]) for t in outputs]}


def _tensor_json(tensor: Tensor, array: np.ndarray) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(array.shape),
        "data": array.ravel().tolist(),
    }
