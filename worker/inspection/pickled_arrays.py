"""What a pickle may say about arrays: exact arguments and states, so that no memory is reinterpreted.

Sources: ``numpy/_core/src/multiarray/descriptor.c`` (``arraydescr_setstate``), ``numpy/_core/src/multiarray/methods.c``
(``array_setstate``) and ``joblib/numpy_pickle.py`` (``NumpyArrayWrapper``).
"""

import math
import re
from collections.abc import Callable
from typing import Any

from worker.inspection.pickle_values import Bag, Blob, Broken, Dtype, Name, Record, Stub, Text

ARRAY = "numpy:ndarray"
DTYPE = "numpy:dtype"
MASKED = "numpy.ma:MaskedArray"
WRAPPER = "joblib.numpy_pickle:NumpyArrayWrapper"

_CODE = re.compile(r"(?:b1|[iu][1248]|f(?:2|4|8)|c(?:8|16)|O8|[USV][1-9][0-9]{0,6})")
_OBJECT_FLAGS = 63
_REFERENCES = 0x01 | 0x02  # NPY_ITEM_HASOBJECT, NPY_LIST_PICKLE
_ALIGNMENT = 16


def count(shape: Any) -> int:
    """How many elements an array of this shape has."""
    if type(shape) is not tuple or len(shape) > 64 or any(type(n) is not int or n < 0 for n in shape):
        raise Broken("the shape of an array is not one")
    return math.prod(shape)


def read_wrapper(state: Any) -> tuple[tuple[int, ...], Dtype, int]:
    """Shape, element type and alignment of the raw bytes that follow."""
    known = state.kept if isinstance(state, Record) else {}
    if not {"subclass", "shape", "order", "dtype"} <= set(known) or state.has_others or "_sklearn_version" in known:
        raise Broken("the description of an array is incomplete")
    subclass, alignment = known["subclass"], known.get("numpy_array_alignment_bytes")
    if not isinstance(subclass, Name) or subclass.name != ARRAY or known["order"] not in ("C", "F"):
        raise Broken("an array is of an unusual kind")
    if alignment not in (None, _ALIGNMENT) or type(known.get("allow_mmap", True)) is not bool:
        raise Broken("the description of an array is unusual")
    count(known["shape"])
    return known["shape"], _dtype_of(known["dtype"]), alignment or 0


def _dtype_of(value: Any) -> Dtype:
    if not isinstance(value, Stub) or value.dtype is None or not value.built:
        raise Broken("the element type of an array is not one")
    return value.dtype


# --- calls: what they may be called with --------------------------------------------------------------------------


def _make_dtype(args: tuple[Any, ...]) -> Stub:
    if (
        len(args) != 3
        or type(args[0]) is not str
        or not _CODE.fullmatch(args[0])
        or any(type(a) is not bool and a not in (0, 1) for a in args[1:])
    ):
        raise Broken("an element type is unusual")
    kind, size = args[0][0], int(args[0][1:])
    return Stub(DTYPE, dtype=Dtype(kind, size * 4 if kind == "U" else size))


def _encode(args: tuple[Any, ...]) -> bytes | Blob:
    """Protocol 2 writes bytes as text in Latin-1."""
    if len(args) != 2 or args[1] != "latin1" or not isinstance(args[0], str | Text):
        raise Broken("bytes are written in an unusual way")
    return args[0].encode("latin-1", "replace") if isinstance(args[0], str) else Blob(-1)


def _make_bytes(args: tuple[Any, ...]) -> bytes | Blob:
    if args == ():
        return b""
    if len(args) != 1 or not isinstance(args[0], bytes | Blob):
        raise Broken("bytes are written in an unusual way")
    return args[0]


def _reconstruct(args: tuple[Any, ...]) -> Stub:
    if len(args) != 3 or not _is_name(args[0], ARRAY) or args[1] != (0,) or args[2] != b"b":
        raise Broken("an array is of an unusual kind")
    return Stub(ARRAY)


def _reconstruct_masked(args: tuple[Any, ...]) -> Stub:
    if (
        len(args) != 4
        or not _is_name(args[0], MASKED)
        or not _is_name(args[1], ARRAY)
        or args[2] != (0,)
        or args[3] not in (b"b", "b")
    ):
        raise Broken("a masked array is of an unusual kind")
    return Stub(MASKED)


def _from_buffer(args: tuple[Any, ...]) -> Stub:
    if len(args) not in (4, 5) or not isinstance(args[0], bytes | Blob) or args[3] not in ("C", "F", "K"):
        raise Broken("an array is of an unusual kind")
    _check_content(args[2], _dtype_of(args[1]), args[0])
    if len(args) == 5 and args[4] is not None:  # the order of the axes in memory
        count(args[4])
        if sorted(args[4]) != list(range(len(args[2]))):
            raise Broken("an array is of an unusual kind")
    return Stub(ARRAY, built=True)


def _scalar(args: tuple[Any, ...]) -> Stub:
    if len(args) != 2:
        raise Broken("a number of numpy is unusual")
    _check_content((), _dtype_of(args[0]), args[1])
    return Stub("numpy:generic", built=True)


def _is_name(value: Any, name: str) -> bool:
    return isinstance(value, Name) and value.name == name


CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    DTYPE: _make_dtype,
    "_codecs:encode": _encode,
    "builtins:bytes": _make_bytes,
    "builtins:bytearray": _make_bytes,
    "numpy._core.multiarray:_reconstruct": _reconstruct,
    "numpy.core.multiarray:_reconstruct": _reconstruct,
    "numpy._core.multiarray:scalar": _scalar,
    "numpy.core.multiarray:scalar": _scalar,
    "numpy._core.numeric:_frombuffer": _from_buffer,
    "numpy.core.numeric:_frombuffer": _from_buffer,
    "numpy.ma.core:_mareconstruct": _reconstruct_masked,
}


# --- states: what they may be set to ------------------------------------------------------------------------------


def _set_dtype(target: Stub, state: Any) -> None:
    dtype = target.dtype
    if (
        dtype is None
        or type(state) is not tuple
        or len(state) != 8
        or state[0] not in (3, 4)
        or state[1] not in ("<", ">", "|", "=")
    ):
        raise Broken("an element type is unusual")
    _, _, subarray, names, fields, size, alignment, flags = state
    if subarray is not None or type(flags) is not int or type(alignment) is not int or size not in (-1, dtype.itemsize):
        raise Broken("an element type contradicts itself")
    if (dtype.kind == "O") != (flags == _OBJECT_FLAGS) or (dtype.kind != "O" and flags & _REFERENCES):
        raise Broken("an element type contradicts itself")
    if names is not None or fields is not None:
        _check_fields(dtype, names, fields)


def _check_fields(dtype: Dtype, names: Any, fields: Any) -> None:
    """A record type: every field lies inside it and holds no references to objects."""
    if dtype.kind != "V" or type(names) is not tuple or not isinstance(fields, Record) or fields.is_long:
        raise Broken("an element type contradicts itself")
    for value in fields.values:
        if type(value) is not tuple or len(value) != 2 or type(value[1]) is not int:
            raise Broken("a field of an element type is unusual")
        inner = _dtype_of(value[0])
        if inner.kind == "O" or not 0 <= value[1] <= dtype.itemsize - inner.itemsize:
            raise Broken("a field of an element type does not fit")


def _set_array(target: Stub, state: Any) -> None:
    if type(state) is not tuple or len(state) != 5 or type(state[0]) is not int:
        raise Broken("the state of an array is unusual")
    _check_content(state[1], _dtype_of(state[2]), state[4])


def _set_masked(target: Stub, state: Any) -> None:
    if type(state) is not tuple or len(state) != 7 or not isinstance(state[5], bytes | Blob):
        raise Broken("the state of a masked array is unusual")
    _check_content(state[1], _dtype_of(state[2]), state[4])


def _check_content(shape: Any, dtype: Dtype, content: Any) -> None:
    """Objects come as a list, everything else as exactly as many bytes as the shape needs."""
    size = count(shape) * dtype.itemsize
    if dtype.kind == "O":
        if not isinstance(content, Bag) or content.kind != "list":
            raise Broken("an array of objects is given as bytes")
        return
    length = content.length if isinstance(content, Blob) else len(content) if isinstance(content, bytes) else None
    if length is None or length not in (-1, size):
        raise Broken("an array has not as many bytes as its shape needs")


STATES: dict[str, Callable[[Stub, Any], None]] = {DTYPE: _set_dtype, ARRAY: _set_array, MASKED: _set_masked}
