"""Inference answers of the Open Inference Protocol, as JSON or as JSON followed by binary tensors."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from .decoding import InferenceRequest
from .manifest import Manifest
from .tensors import Array, Tensor, array_to_bytes, array_to_json
from .wire import BINARY, JSON

MIN_COMPRESSED = 1024
_WINDOWS = {"gzip": 31, "deflate": 15}
_LEVEL = 1  # an answer is compressed once and read once: speed counts


class Encoder:
    """Writes answers for one model."""

    def __init__(self, manifest: Manifest) -> None:
        self._outputs = manifest.signature.outputs
        self._base = {"model_name": manifest.model, "model_version": manifest.version}

    def encode(self, request: InferenceRequest, arrays: Sequence[Array]) -> tuple[bytes, int | None]:
        """The body, and the size of its JSON part where binary tensors follow it."""
        document: dict[str, Any] = dict(self._base)
        if request.id is not None:
            document["id"] = request.id
        pieces: list[bytes] = []
        document["outputs"] = [
            _describe(self._outputs[at], arrays[at], pieces if binary else None) for at, binary in request.wanted
        ]
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        if not pieces:
            return text, None
        return b"".join((text, *pieces)), len(text)


def _describe(tensor: Tensor, array: Array, pieces: list[bytes] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": array.shape}
    if pieces is None:
        row["data"] = array_to_json(array)
    else:
        raw = array_to_bytes(array)
        row["parameters"] = {"binary_data_size": len(raw)}
        pieces.append(raw)
    return row


def head_lines(json_size: int | None) -> tuple[str, list[tuple[str, str]]]:
    """The content type of an answer, and the header that says where its binary part begins."""
    if json_size is None:
        return JSON, []
    return BINARY, [("Inference-Header-Content-Length", str(json_size))]


def compress(body: bytes, accepted: str) -> tuple[bytes, list[tuple[str, str]]]:
    """The body in the coding that the client asks for; small bodies go out as they are."""
    coding = choose_coding(accepted)
    if coding is None or len(body) < MIN_COMPRESSED:
        return body, []
    stream = zlib.compressobj(_LEVEL, wbits=_WINDOWS[coding])
    return stream.compress(body) + stream.flush(), [("Content-Encoding", coding), ("Vary", "Accept-Encoding")]


@lru_cache(maxsize=64)
def choose_coding(accepted: str) -> str | None:
    """The first coding of an ``Accept-Encoding`` that can be made here and is not forbidden by ``q=0``."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        coding = coding.strip()
        if coding in _WINDOWS and weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return coding
    return None
