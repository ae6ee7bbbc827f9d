"""Inference requests of the Open Inference Protocol, read strictly.

Every refusal names the tensor, what was got and what was expected. Compressed bodies are expanded within bounds, so
that a small upload cannot fill the memory.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from .errors import Refusal
from .manifest import Signature
from .tensors import Array, Tensor, array_from_bytes, array_from_json

MAX_EXPANSION = 10
_SMALLEST_BOUND = 64 * 1024  # tiny bodies may expand further than tenfold: they cannot hurt
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_NOTHING = memoryview(b"")
_UNSUPPORTED = ("classification", "shared_memory_region")


@dataclass(slots=True)
class InferenceRequest:
    """What one client asks: arrays in the signature's order, and how it wants the answer.

    ``rows`` is the common first dimension, or 0 where the inputs have none in common; ``key`` is equal for requests
    that can be joined along it. ``wanted`` holds the position of each wanted output and whether it goes out as bytes.
    """

    inputs: list[Array]
    rows: int
    key: list[tuple[int, ...]]
    id: str | None
    wanted: tuple[tuple[int, bool], ...]


def expand(body: bytes, encoding: bytes, max_body: int) -> bytes:
    """The body without its content coding; ``Refusal`` where it is damaged, unknown or grows beyond bounds."""
    encoding = encoding.strip().lower()
    if encoding in (b"", b"identity"):
        return body
    window = _WINDOWS.get(encoding)
    if window is None:
        raise Refusal(
            415, "The content codings taken here are gzip and deflate", (("Accept-Encoding", "gzip, deflate"),)
        )
    bound = min(max_body, max(MAX_EXPANSION * len(body), _SMALLEST_BOUND))
    stream = zlib.decompressobj(window)
    try:
        expanded = stream.decompress(body, bound)
    except zlib.error:
        raise Refusal(400, "The compressed body is damaged") from None
    if stream.unconsumed_tail:
        raise Refusal(413, f"The body expands to more than {bound} bytes")
    if not stream.eof or stream.unused_data:
        raise Refusal(400, "The compressed body is damaged")
    return expanded


class Decoder:
    """Reads requests against one signature."""

    def __init__(self, signature: Signature) -> None:
        self._inputs = signature.inputs
        self._positions = {tensor.name: at for at, tensor in enumerate(signature.inputs)}
        self._outputs = {tensor.name: at for at, tensor in enumerate(signature.outputs)}
        self._all_json = tuple((at, False) for at in range(len(signature.outputs)))
        self._all_binary = tuple((at, True) for at in range(len(signature.outputs)))

    def decode(self, body: bytes, json_size: int | None = None) -> InferenceRequest:
        """Read a request whose first ``json_size`` bytes are JSON and whose rest is binary tensors."""
        blob = _NOTHING
        if json_size is not None:
            blob, body = memoryview(body)[json_size:], body[:json_size]
        document = _parse(body)
        rows = document.get("inputs")
        if type(rows) is not list or not rows:
            raise Refusal(400, "The request has no inputs")
        inputs = self._read_inputs(rows, blob)
        shapes = [array.shape for array in inputs]
        sizes = {shape[:1] for shape in shapes}
        common = inputs[0].shape[0] if len(sizes) == 1 and shapes[0] else 0
        key = [shape[1:] for shape in shapes]
        return InferenceRequest(inputs, common, key, _read_id(document), self._read_wanted(document))

    def _read_inputs(self, rows: Sequence[Any], blob: memoryview) -> list[Array]:
        found: list[Array | None] = [None] * len(self._inputs)
        offset = 0
        for row in rows:
            at, tensor = self._find_input(row)
            if found[at] is not None:
                raise Refusal(400, f"Input '{tensor.name}' is given twice")
            shape = _check_declaration(row, tensor)
            parameters = row.get("parameters")
            if parameters and (size := _binary_size(parameters, tensor)) is not None:
                found[at] = _take_bytes(row, tensor, shape, blob, offset, size)
                offset += size
            else:
                found[at] = array_from_json(tensor, _data(row, tensor), shape)
        if offset != len(blob):
            raise Refusal(400, f"The inputs declare {offset} bytes of binary data, got {len(blob)}")
        return self._require_all(found)

    def _find_input(self, row: Any) -> tuple[int, Tensor]:
        if type(row) is not dict:
            raise Refusal(400, "Every input has to be an object")
        name = row.get("name")
        at = self._positions.get(name) if type(name) is str else None
        if at is None:
            expected = ", ".join(f"'{known}'" for known in self._positions)
            raise Refusal(400, f"Input {_quote(name)} is unknown, expected {expected}")
        return at, self._inputs[at]

    def _require_all(self, found: list[Array | None]) -> list[Array]:
        arrays = [array for array in found if array is not None]
        if len(arrays) == len(found):
            return arrays
        missing = ", ".join(f"'{t.name}'" for t, array in zip(self._inputs, found, strict=True) if array is None)
        raise Refusal(400, f"Input {missing} is missing")

    def _read_wanted(self, document: Mapping[str, Any]) -> tuple[tuple[int, bool], ...]:
        parameters = document.get("parameters")
        binary = bool(_parameters(parameters).get("binary_data_output", False)) if parameters else False
        outputs = document.get("outputs")
        if not outputs:
            if outputs not in (None, []):
                raise Refusal(400, "outputs has to be an array")
            return self._all_binary if binary else self._all_json
        if type(outputs) is not list:
            raise Refusal(400, "outputs has to be an array")
        wanted = [self._read_output(row, binary) for row in outputs]
        if len({at for at, _ in wanted}) != len(wanted):
            raise Refusal(400, "An output is asked for twice")
        return tuple(wanted)

    def _read_output(self, row: Any, binary: bool) -> tuple[int, bool]:
        name = row.get("name") if type(row) is dict else None
        at = self._outputs.get(name) if type(name) is str else None
        if at is None:
            expected = ", ".join(f"'{known}'" for known in self._outputs)
            raise Refusal(400, f"Output {_quote(name)} is unknown, expected {expected}")
        parameters = _parameters(row.get("parameters") or {})
        _refuse_unsupported(parameters, f"Output '{name}'")
        return at, bool(parameters.get("binary_data", binary))


def _parse(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        hint = (
            "; NaN and Infinity are not JSON, a missing value is null" if b"NaN" in text or b"Infinity" in text else ""
        )
        raise Refusal(400, f"The body is not valid JSON: {error}{hint}") from None
    if type(document) is not dict:
        raise Refusal(400, "The body has to be a JSON object")
    return document


def _read_id(document: Mapping[str, Any]) -> str | None:
    given = document.get("id")
    if given is None or type(given) is str:
        return given
    raise Refusal(400, "id has to be a string")


def _check_declaration(row: Mapping[str, Any], tensor: Tensor) -> tuple[int, ...]:
    """The declared shape, once datatype and shape agree with the signature."""
    datatype = row.get("datatype")
    if datatype != tensor.datatype:
        raise Refusal(400, f"Input '{tensor.name}': got datatype {_quote(datatype)}, expected '{tensor.datatype}'")
    shape = row.get("shape")
    tail = tensor.tail
    if tail is not None and type(shape) is list and (*shape[1:],) == tail and type(shape[0]) is int and shape[0] >= 0:
        return (shape[0], *tail)
    if type(shape) is not list or len(shape) != len(tensor.shape):
        _refuse_shape(shape, tensor)
    for size, expected in zip(shape, tensor.shape, strict=True):
        if type(size) is not int or size < 0 or (size != expected and expected != -1):
            _refuse_shape(shape, tensor)
    return tuple(shape)


def _refuse_shape(shape: Any, tensor: Tensor) -> NoReturn:
    free = " (-1 is free)" if -1 in tensor.shape else ""
    raise Refusal(400, f"Input '{tensor.name}': got shape {_quote(shape)}, expected {list(tensor.shape)}{free}")


def _data(row: Mapping[str, Any], tensor: Tensor) -> Any:
    if "data" not in row:
        raise Refusal(400, f"Input '{tensor.name}' has no data")
    return row["data"]


def _parameters(value: Any) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise Refusal(400, "parameters has to be an object")
    return value


def _binary_size(parameters: Any, tensor: Tensor) -> int | None:
    """How many bytes of the binary part belong to this input; none where its data is JSON."""
    _refuse_unsupported(_parameters(parameters), f"Input '{tensor.name}'")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise Refusal(400, f"Input '{tensor.name}': binary_data_size has to be a number of bytes")
    return size


def _take_bytes(
    row: Mapping[str, Any], tensor: Tensor, shape: tuple[int, ...], blob: memoryview, offset: int, size: int
) -> Array:
    if "data" in row:
        raise Refusal(400, f"Input '{tensor.name}' has both data and binary_data_size")
    if offset + size > len(blob):
        raise Refusal(400, f"Input '{tensor.name}' declares {size} bytes of binary data, got {len(blob) - offset}")
    return array_from_bytes(tensor, blob[offset : offset + size], shape)


def _refuse_unsupported(parameters: Mapping[str, Any], owner: str) -> None:
    for name in _UNSUPPORTED:
        if name in parameters:
            raise Refusal(501, f"{owner}: the parameter {name} is not supported here")


def _quote(value: Any) -> str:
    """What the client sent, short enough for an error."""
    text = f"'{value}'" if type(value) is str else orjson.dumps(value).decode()
    return text if len(text) <= 100 else text[:100] + "…"
