"""Reads what MLflow knows of a model's inputs: the signature, and the example that was logged with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXAMPLE_BYTES = 1 << 20
ROWS = 32  # of an example; more would only be longer
_COLUMNS = 10_000
_HUGE = 1e38  # no number of a model's input is larger, and float32 has none


@dataclass(frozen=True)
class Signature:
    """The inputs by name, and the whole for people to read."""

    columns: tuple[str, ...] = ()  # of a table
    tensors: tuple[str, ...] = ()  # names of tensors; an unnamed one is "input"
    shown: Mapping[str, Any] = field(default_factory=dict)


def read(data: Any) -> Signature:
    """The signature, or an empty one where there is none that can be read."""
    sides = {side: _fields(data.get(side)) for side in ("inputs", "outputs")} if isinstance(data, dict) else {}
    inputs = sides.get("inputs", [])
    is_table = bool(inputs) and all("tensor-spec" not in item and isinstance(item.get("name"), str) for item in inputs)
    shown = {side: [_shown(item) for item in items[:200]] for side, items in sides.items() if items}
    if is_table:
        return Signature(columns=tuple(item["name"][:128] for item in inputs), shown=shown)
    return Signature(tensors=tuple(str(item.get("name") or "input")[:128] for item in inputs), shown=shown)


def _fields(text: Any) -> list[dict[str, Any]]:
    try:
        items = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return []
    if not isinstance(items, list) or len(items) > _COLUMNS or not all(isinstance(item, dict) for item in items):
        return []
    return items


def _shown(item: Mapping[str, Any]) -> str:
    spec = item.get("tensor-spec")
    kind = f"{spec.get('dtype')} {spec.get('shape')}" if isinstance(spec, dict) else str(item.get("type"))
    return " ".join(part for part in (str(item.get("name") or "")[:128], kind[:100]) if part)


# --- the example --------------------------------------------------------------------------------------------------


def request_of(data: bytes, signature: Signature) -> dict[str, Any] | None:
    """An inference request made of an example as MLflow writes it; None where it is no table and no tensor."""
    try:
        body = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if isinstance(body, dict) and "dataframe_split" in body:
        body = body["dataframe_split"]
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        return _of_table(body.get("columns") or list(signature.columns), body["data"])
    if isinstance(body, dict) and ("inputs" in body or "instances" in body):
        body = body.get("inputs", body.get("instances"))
    if isinstance(body, dict):
        tensors = [_tensor(str(name)[:128], values) for name, values in body.items()]
    else:
        tensors = [_tensor(signature.tensors[0] if len(signature.tensors) == 1 else "input", body)]
    return {"inputs": tensors} if tensors and all(tensors) else None


def _refuse(word: str) -> None:
    raise ValueError(word)


def _of_table(columns: Any, rows: list[Any]) -> dict[str, Any] | None:
    """One tensor a column."""
    if not isinstance(columns, list) or not columns or not rows or len(columns) > _COLUMNS:
        return None
    rows = rows[:ROWS]
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    tensors = [_tensor(str(name)[:128], [[row[at]] for row in rows]) for at, name in enumerate(columns)]
    return {"inputs": tensors} if all(tensors) else None


def _tensor(name: str, values: Any) -> dict[str, Any] | None:
    """A tensor of the inference protocol from nested lists, which must be regular."""
    values = values[:ROWS] if isinstance(values, list) else values
    shape: list[int] = []
    level: list[Any] = [values]
    while level and isinstance(level[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(sizes) != 1 or len(shape) > 8:
            return None
        shape.append(sizes.pop())
        level = [inner for item in level for inner in item]
    if not level or not shape or not all(isinstance(value, int | float | str) for value in level):
        return None
    if any(not isinstance(value, str) and not abs(value) <= _HUGE for value in level):
        return None
    is_text = any(isinstance(value, str) for value in level)
    return {"name": name, "datatype": "BYTES" if is_text else "FP32", "shape": shape, "data": level}
