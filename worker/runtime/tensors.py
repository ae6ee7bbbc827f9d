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

# Which inferred kinds of JSON values a datatype takes: "b" booleans, "i" and "u" integers, "f" numbers, "U" strings.
_KINDS = {"b": "b", "u": "iu", "i": "iu", "f": "iuf", "O": "U"}
_KIND_NAMES = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers", "U": "strings"}

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
    kinds: str = field(init=False)  # the inferred kinds of JSON values that it takes
    bounds: tuple[int, int] | None = field(init=False)  # of integers
    tail: tuple[int, ...] | None = field(init=False)  # all but the first size, where only that is free

    def __post_init__(self) -> None:
        dtype = DATATYPES[self.datatype]
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        only_rows_free = self.shape[:1] == (-1,) and -1 not in self.shape[1:]
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "kinds", _KINDS[dtype.kind])
        object.__setattr__(self, "bounds", (int(limits.min), int(limits.max)) if limits else None)
        object.__setattr__(self, "tail", self.shape[1:] if only_rows_free else None)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def array_from_json(tensor: Tensor, data: Any, shape: tuple[int, ...]) -> Array:
    """The values of ``data`` (flat or nested, row-major) as an array of ``shape``; ``Refusal`` says what is wrong."""
    if type(data) is not list:
        raise Refusal(400, f"Input '{tensor.name}': data has to be an array")
    try:
        values = np.array(data)
    except ValueError:
        raise Refusal(400, f"Input '{tensor.name}': the rows of data differ in length or depth") from None
    if values.ndim != 1 and values.shape != shape:
        raise Refusal(400, f"Input '{tensor.name}': data is nested as {list(values.shape)}, shape says {list(shape)}")
    if values.dtype.kind not in tensor.kinds and values.size:
        values = _infer_again(tensor, values, data)
    if tensor.bounds is not None and values.size:
        _check_bounds(tensor, values)
    try:
        return values.astype(tensor.dtype, copy=False).reshape(shape)
    except RuntimeWarning:
        raise _misfit(tensor) from None
    except ValueError:  # numpy has compared the counts already
        raise _wrong_count(tensor, values.size, shape) from None


def _infer_again(tensor: Tensor, values: Array, data: list[Any]) -> Array:
    """What numpy does not infer: ``null`` among floats as NaN, and large among small unsigned integers.

    Everything else is the wrong kind of value.
    """
    if tensor.datatype == "UINT64" and values.dtype.kind == "f":
        exact = np.array(data, dtype=np.object_)
        if all(isinstance(value, int) and value >= 0 for value in exact.flat):
            return exact.astype(np.uint64)
    if tensor.dtype.kind == "f" and all(value is None or type(value) in (float, int) for value in values.flat):
        return values.astype(np.float64)
    expected = {"b": "booleans", "u": "integers", "i": "integers", "f": "numbers", "O": "strings"}[tensor.dtype.kind]
    got = _KIND_NAMES.get(values.dtype.kind, "mixed values")
    raise Refusal(400, f"Input '{tensor.name}': datatype {tensor.datatype} takes {expected}, data holds {got}")


def _check_bounds(tensor: Tensor, values: Array) -> None:
    """Integers are refused where they do not fit, never wrapped."""
    least, most = tensor.bounds or (0, 0)
    if int(values.min()) < least or int(values.max()) > most:
        raise _misfit(tensor)


def _misfit(tensor: Tensor) -> Refusal:
    return Refusal(400, f"Input '{tensor.name}': a value does not fit {tensor.datatype}")


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
