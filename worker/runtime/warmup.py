"""The model's first calls: does it answer as it did when it was examined, how fast is it, and may its rows be joined?

All three are measured, because none of them can be known from the file: another processor or library version may
change the numbers, and a model may look across the rows of a batch even though its first dimension is free.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from .batching import Plan, Run
from .decoding import Decoder
from .errors import Refusal, StartError
from .loaders.base import Model
from .log import first_line, write_log
from .manifest import Manifest, Signature
from .tensors import Array, Tensor, array_from_json

TOLERANCE = 1e-4  # relative and absolute
INLINE_SECONDS = 1e-3  # a model that answers one row in less runs in the event loop
_TIMED_RUNS = 5


@dataclass(frozen=True)
class Replay:
    """How the golden request was answered: how far from the golden answer, and in which output most."""

    worst: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Trial:
    """What the first calls showed: how to run the model, seconds for one row, and how requests may be batched."""

    run: Run
    seconds: float
    plan: Plan
    replay: Replay | None  # None where no golden sample was kept

    @property
    def is_cheap(self) -> bool:
        return self.seconds < INLINE_SECONDS


def try_model(model: Model, manifest: Manifest) -> Trial:
    """Run the golden request, or one of zeros where there is none; ``StartError`` where the golden answer differs."""
    run = conform(model, manifest.signature.outputs)
    sample, replay = _run_golden(run, manifest) if manifest.golden.get("request") else (None, None)
    zeros = _run_zeros(run, manifest.signature)
    known = [inputs for inputs in (sample, zeros) if inputs is not None]
    seconds = _time_run(run, known[0], manifest.signature) if known else INLINE_SECONDS
    joins = manifest.signature.has_free_rows and manifest.max_rows > 1 and _rows_are_independent(run, known)
    return Trial(run, seconds, Plan(joins, manifest.max_rows, manifest.max_delay, manifest.max_queue), replay)


def conform(model: Model, outputs: Sequence[Tensor]) -> Run:
    """The model's ``run``, with its arrays in the datatypes that the signature promises."""

    def run(inputs: Sequence[Array]) -> list[Array]:
        arrays = model.run(inputs)
        return [
            array if array.dtype == tensor.dtype else array.astype(tensor.dtype)
            for array, tensor in zip(arrays, outputs, strict=True)
        ]

    return run


def _run_golden(run: Run, manifest: Manifest) -> tuple[list[Array], Replay]:
    """The golden request's arrays and how they were answered, once the model has given the golden answer to them."""
    try:
        inputs = Decoder(manifest.signature).decode(orjson.dumps(manifest.golden["request"])).inputs
        outputs = run(inputs)
    except Refusal as refusal:
        raise StartError(f"the golden request does not fit the signature: {refusal.message}") from refusal
    except Exception as error:  # whatever the model's library raises
        raise StartError(f"the model fails on its golden request: {first_line(error)}") from error
    return inputs, _compare(manifest, outputs)


def _compare(manifest: Manifest, outputs: Sequence[Array]) -> Replay:
    found = Replay()
    try:
        expected = {row["name"]: row for row in (manifest.golden.get("response") or {}).get("outputs", ())}
        for tensor, array in zip(manifest.signature.outputs, outputs, strict=True):
            if tensor.name in expected:
                worst = _deviation(tensor, array, expected[tensor.name])
                found = Replay(worst, tensor.name) if worst > found.worst else found
    except (KeyError, TypeError, AttributeError, Refusal) as error:
        raise StartError(f"the golden response cannot be read: {first_line(error)}") from error
    return found


def _deviation(tensor: Tensor, array: Array, expected: Mapping[str, Any]) -> float:
    """How far an output is from the golden one; ``StartError`` where that is more than the tolerance."""
    shape = tuple(expected["shape"])
    if array.shape != shape:
        raise _mismatch(tensor, f"has shape {list(array.shape)}, expected {list(shape)}")
    golden = array_from_json(tensor, expected["data"], shape)
    is_equal = agree(array, golden)
    if tensor.dtype.kind != "f":
        if not is_equal:
            raise _mismatch(tensor, "holds other values")
        return 0.0
    gap = np.abs(array.astype(np.float64) - golden.astype(np.float64))
    gap[(array == golden) | np.isnan(gap)] = 0.0
    worst = float(gap.max(initial=0.0))
    if not is_equal:
        how = f"differs by up to {worst:.3g}, tolerance {TOLERANCE:g}" if worst else "lacks values in other places"
        raise _mismatch(tensor, how, worst)
    return worst


def _mismatch(tensor: Tensor, how: str, worst: float | None = None) -> StartError:
    message = f"the golden request is answered differently: output '{tensor.name}' {how}"
    return StartError(message, kind="golden_mismatch", output=tensor.name, how=how, worst=worst)


def agree(one: Array, other: Array) -> bool:
    """Whether two arrays are equal, floats within the tolerance."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _run_zeros(run: Run, signature: Signature) -> list[Array] | None:
    """Arrays of zeros or empty strings with 1 for every free dimension, if the model takes them."""
    inputs = [_zeros(tensor) for tensor in signature.inputs]
    try:
        run(inputs)
    except Exception as error:  # a model may rightly refuse made-up values
        write_log("warmup_skipped", reason=first_line(error))
        return None
    return inputs


def _zeros(tensor: Tensor) -> Array:
    shape = tuple(1 if size < 0 else size for size in tensor.shape)
    if tensor.datatype == "BYTES":
        return np.full(shape, "", dtype=np.object_)
    return np.zeros(shape, tensor.dtype)


def _time_run(run: Run, inputs: list[Array], signature: Signature) -> float:
    """Seconds for one row: the best of a few runs, because a neighbour can only slow a run down."""
    if signature.has_free_rows:
        inputs = [array[:1] for array in inputs]
    return min(_time_once(run, inputs) for _ in range(_TIMED_RUNS))


def _time_once(run: Run, inputs: list[Array]) -> float:
    started = time.perf_counter()
    run(inputs)
    return time.perf_counter() - started


def _rows_are_independent(run: Run, known: list[list[Array]]) -> bool:
    """Whether different samples answer the same in one run as each on its own."""
    if not known or any(array.shape[:1] != inputs[0].shape[:1] for inputs in known for array in inputs):
        return False
    one, other = known[0], known[-1]
    if any(a.shape[1:] != b.shape[1:] for a, b in zip(one, other, strict=True)):
        other = one
    try:
        joined = run([np.concatenate(pair) for pair in zip(one, other, strict=True)])
        alone = [np.concatenate(pair) for pair in zip(run(one), run(other), strict=True)]
    except Exception:  # it takes no batch then
        return False
    return all(map(agree, joined, alone))
