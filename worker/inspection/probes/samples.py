"""Inputs made up for a model: around what it has learnt, so that every branch has a chance to be taken."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.inspection.probes import reporting
from worker.inspection.probes.models import DTYPES, Arrays, Tensor, to_request
from worker.inspection.probes.reporting import Failure

ROWS = 96
KNOWN = 256  # rows at most that a model remembers and is asked about
LARGE = 20_000  # elements; above it whole numbers are used, which are short to write down

Maker = Callable[[int], Arrays]  # so many rows of input


@dataclass
class Landscape:
    """Where the values of each column lie, and where trees split them."""

    center: np.ndarray
    scale: np.ndarray
    splits: list[tuple[int, float]]
    spread: float = 1.0  # how far around the centre, in scales


def plain(width: int, splits: list[tuple[int, float]]) -> Landscape:
    """A landscape from splits alone."""
    center, scale = np.zeros(width), np.ones(width)
    for column in {column for column, _ in splits if column < width}:
        values = np.array([value for at, value in splits if at == column and np.isfinite(value)])
        if len(values):
            center[column] = np.median(values)
            scale[column] = np.std(values) or max(abs(center[column]) / 2, 0.5)
    return Landscape(center, scale, splits)


def rows(land: Landscape, count: int, *, missing: bool = False) -> np.ndarray:
    """So many rows of float32 scattered around the centre, every third on or just beside splits.

    With ``missing`` some values are absent (NaN).
    """
    rng = np.random.default_rng(20)
    table = land.center + land.scale * land.spread * rng.normal(size=(count, len(land.center)))
    table = table.astype(np.float32)
    known = [(column, value) for column, value in land.splits if column < len(land.center) and np.isfinite(value)]
    if known:
        for row in range(0, count, 3):
            for index in rng.integers(0, len(known), size=max(1, len(land.center) // 2)):
                column, value = known[index]
                table[row, column] = _beside(value, rng)
    table = np.nan_to_num(np.clip(table, -1e30, 1e30))
    if missing:
        table[1::6, :: max(2, len(land.center) // 3)] = np.nan
    return table


def _beside(value: float, rng: np.random.Generator) -> np.float32:
    side = int(rng.integers(-1, 2))
    return np.float32(value) if side == 0 else np.nextafter(np.float32(value), np.float32(side * np.inf))


def for_tensors(inputs: list[Tensor], count: int) -> Arrays:
    """Inputs for a graph, known by names, types and shapes only; free dimensions after the first become one."""
    rng = np.random.default_rng(20)
    return {tensor.name: _for_tensor(tensor, count, rng) for tensor in inputs}


def _for_tensor(tensor: Tensor, count: int, rng: np.random.Generator) -> np.ndarray:
    shape = tuple(1 if size < 0 else size for size in tensor.shape)
    if tensor.shape and tensor.shape[0] < 0:
        shape = (count, *shape[1:])
    dtype = DTYPES[tensor.datatype]
    if tensor.datatype == "BYTES":
        return np.full(shape, "text", dtype=object)
    if tensor.datatype.startswith("FP"):
        large = int(np.prod(shape)) > LARGE
        values = rng.integers(0, 2, size=shape) if large else np.round(rng.random(size=shape), 3)
        return np.asarray(values, dtype=dtype)
    return np.asarray(rng.integers(0, 2, size=shape), dtype=dtype)


def from_request(example: dict[str, Any], inputs: list[Tensor]) -> Arrays:
    """The user's own example as arrays; ``bad_example`` where it does not fit the signature."""
    given = {item["name"]: item for item in example["inputs"]}
    if given and len(inputs) == 1:
        given = {inputs[0].name: _joined(example["inputs"], inputs[0].columns)}
    if set(given) != {tensor.name for tensor in inputs}:
        raise Failure("bad_example", error="inputs " + ", ".join(sorted(given)))
    return {tensor.name: _from_item(given[tensor.name], tensor) for tensor in inputs}


def _joined(items: list[dict[str, Any]], columns: Sequence[str]) -> dict[str, Any]:
    """The one input, or a table of columns that were given one by one: in the model's order where it knows them."""
    if len(items) == 1:
        return items[0]
    if {item["name"] for item in items} == set(columns):
        items = sorted(items, key=lambda item: columns.index(item["name"]))
    rows = len(items[0].get("data", ()))
    if any(item.get("shape") != [rows, 1] or len(item.get("data", ())) != rows for item in items):
        raise Failure("bad_example", error="inputs " + ", ".join(str(item["name"]) for item in items))
    return {"shape": [rows, len(items)], "data": [item["data"][row] for row in range(rows) for item in items]}


def _from_item(item: dict[str, Any], tensor: Tensor) -> np.ndarray:
    try:
        array = np.array(item["data"], dtype=DTYPES[tensor.datatype]).reshape([int(size) for size in item["shape"]])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Failure("bad_example", error=str(error)[:200]) from error
    if len(array.shape) != len(tensor.shape) or any(
        want not in (-1, size) for size, want in zip(array.shape, tensor.shape, strict=True)
    ):
        raise Failure("bad_example", error=f"{tensor.name}: shape {list(array.shape)}, expected {list(tensor.shape)}")
    return array


def first_row(arrays: Arrays, inputs: list[Tensor]) -> Arrays:
    """One row of each array; all there is where the number of rows is not free."""
    are_free = all(tensor.shape[:1] == (-1,) for tensor in inputs)
    return {name: array[:1] for name, array in arrays.items()} if are_free else arrays


def whole(arrays: Arrays, inputs: list[Tensor]) -> dict[str, Any] | None:
    """The request, or its first row, whichever is short enough to be kept as the golden sample."""
    for rows in (arrays, first_row(arrays, inputs)):
        body: dict[str, Any] = reporting.plain(to_request(rows, inputs))
        if len(json.dumps(body)) <= reporting.GOLDEN:
            return body
    return None


def round_down(values: np.ndarray) -> np.ndarray:
    """The largest float32 not above each value."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
