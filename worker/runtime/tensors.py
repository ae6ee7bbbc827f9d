"""Tensors of the Open Inference Protocol: their datatypes, and numbers to and from JSON and bytes.

Missing values: JSON has no NaN, so ``null`` in a float tensor means NaN, in requests and in answers alike. That is what
tree models expect of a missing value.

Source: the Open Inference Protocol's "Tensor Data Types", and Triton's binary tensor data extension for the bytes.
"""

import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refusal

Array = NDArray[Any]

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}

# The types of JSON values that a datatype takes, by the kind of its numpy type. They are looked at one by one: numpy
# would read numbers out of strings, and one long string among many numbers would make it ask for all the memory.
_TAKES: Mapping[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "u": frozenset({int}),
    "i": frozenset({int}),
    "f": frozenset({int, float, type(None)}),
    "O": frozenset({str}),
}
_EXPECTED = {"b": "booleans", "u": "integers", "i": "integers", "f": "numbers", "O": "strings"}
_TYPE_NAMES = {
    bool: "booleans",
    int: "integers",
    float: "numbers",
    str: "strings",
    list: "arrays",
    dict: "objects",
    type(None): "null",
}

# A number that does not fit becomes infinite with a warning. Here it is an error, and only here: models have their
# own view of overflow. A filter costs nothing per call, numpy.errstate costs as much as reading the tensor.
warnings.filterwarnings("error", "overflow", RuntimeWarning, module=__name__.replace(".", r"\.") + "$")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the signature; -1 in ``shape`` is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(init=False)
    takes: frozenset[type] = field(init=False)  # the types of JSON values that it takes
    tail: tuple[int, ...] | None = field(init=False)  # all but the first size, where only that is free

    def __post_init__(self) -> None:
        dtype = DATATYPES[self.datatype]
        only_rows_free = self.shape[:1] == (-1,) and -1 not in self.shape[1:]
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "takes", _TAKES[dtype.kind])
        object.__setattr__(self, "tail", self.shape[1:] if only_rows_free else None)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def array_from_json(tensor: Tensor, data: Any, shape: tuple[int, ...]) -> Array:
    """The values of ``data`` (flat or nested, row-major) as an array of ``shape``; ``Refusal`` says what is wrong."""
    if type(data) is not list:
        raise Refusal(400, f"Input '{tensor.name}': data has to be an array")
    if data and type(data[0]) is list:
        data = _flatten(tensor, data, shape)
    types = set(map(type, data))
    if not types <= tensor.takes:
        got = " and ".join(sorted(_TYPE_NAMES[found] for found in types))
        expected = _EXPECTED[tensor.dtype.kind]
        raise Refusal(400, f"Input '{tensor.name}': datatype {tensor.datatype} takes {expected}, data holds {got}")
    try:
        return np.array(data, tensor.dtype).reshape(shape)
    except (OverflowError, RuntimeWarning):
        raise Refusal(400, f"Input '{tensor.name}': a value does not fit {tensor.datatype}") from None
    except ValueError:  # numpy compares the counts
        raise _wrong_count(tensor, len(data), shape) from None


def _flatten(tensor: Tensor, data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Nested rows as one flat list, once every level has the lengths that ``shape`` says."""
    level = [data]
    for size in shape:
        if any(type(row) is not list or len(row) != size for row in level):
            raise Refusal(400, f"Input '{tensor.name}': data is nested otherwise than its shape {list(shape)} says")
        level = list(chain.from_iterable(level))
    return level


def _wrong_count(tensor: Tensor, count: int, shape: tuple[int, ...]) -> Refusal:
    expected = math.prod(shape)
    return Refusal(400, f"Input '{tensor.name}': got {count} elements, expected {expected} for shape {list(shape)}")


def array_from_bytes(tensor: Tensor, raw: memoryview, shape: tuple[int, ...]) -> Array:
    """The array whose little-endian, row-major bytes are ``raw``; no copy where the bytes are aligned."""
    if tensor.datatype == "BYTES":
        return _strings_from_bytes(tensor, raw, shape)
    expected = math.prod(shape) * tensor.dtype.itemsize
    if len(raw) != expected:
        raise Refusal(
            400,
            f"Input '{tensor.name}': got {len(raw)} bytes of binary data, expected {expected} "
            f"for shape {list(shape)} of {tensor.datatype}",
        )
    if tensor.datatype == "BOOL":
        return np.not_equal(np.frombuffer(raw, np.uint8), 0).reshape(shape)
    return np.require(np.frombuffer(raw, tensor.dtype), requirements="A").reshape(shape)


def _strings_from_bytes(tensor: Tensor, raw: memoryview, shape: tuple[int, ...]) -> Array:
    """Each element is a 4-byte little-endian length and that many bytes of UTF-8."""
    strings: list[str] = []
    at = 0
    try:
        while at < len(raw):
            (size,) = struct.unpack_from("<I", raw, at)
            piece = raw[at + 4 : at + 4 + size]
            if len(piece) != size:
                raise ValueError("an element ends after the data does")
            strings.append(str(piece, "utf-8"))
            at += 4 + size
    except (struct.error, ValueError) as error:
        raise Refusal(400, f"Input '{tensor.name}': the binary strings cannot be read: {error}") from None
    if len(strings) != math.prod(shape):
        raise _wrong_count(tensor, len(strings), shape)
    return np.array(strings, dtype=np.object_).reshape(shape)


def array_to_bytes(array: Array) -> bytes:
    """The little-endian, row-major bytes of the binary tensor extension."""
    if array.dtype.kind != "O":
        return array.tobytes()
    pieces = [value if isinstance(value, bytes) else str(value).encode() for value in array.flat]
    return b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces)


def array_to_json(array: Array) -> Any:
    """What orjson writes as a flat array: numbers as they are, everything else as strings."""
    if array.dtype.kind != "O":
        return array.ravel()
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in array.flat]
