"""Inputs made up for a scikit-learn model from what its parts remember of their training data."""

from dataclasses import replace
from typing import Any

import numpy as np

from worker.inspection.probes import columns, points, samples
from worker.inspection.probes.estimators import Estimator, parts_of
from worker.inspection.probes.models import DTYPES, Arrays
from worker.inspection.probes.samples import Landscape

SPLITS = 5000

# Attributes that hold one value, or rows of values, for each input column.
_PLACES = ("mean_", "center_", "theta_", *points.POINTS)
_SPREADS = (1.0, 0.3, 0.0)


def make(model: Estimator, count: int) -> Arrays:
    """Rows that the model can predict. Where it refuses some, they are made positive, or closer to what it knows."""
    refusal: ValueError | None = None
    for spread in _SPREADS:
        arrays = _make(model, count, spread)
        for tried in (arrays, {name: a if a.dtype == object else np.abs(a) for name, a in arrays.items()}):
            try:
                model.predict(tried)
            except ValueError as error:
                refusal = refusal or error
            else:
                return tried
    assert refusal
    raise refusal


def _make(model: Estimator, count: int, spread: float) -> Arrays:
    first = columns.first_step(model.model)
    if columns.reads_text(first):
        return {columns.INPUT: _texts(first, count)}
    if columns.reads_labels(first):
        return {columns.INPUT: np.resize(np.asarray(first.classes_), count).astype(DTYPES[model.inputs[0].datatype])}
    width = len(model.inputs) if len(model.inputs) > 1 else model.inputs[0].shape[1]
    known = points.known_rows(model.model)
    if spread == 0.0 and known is not None:
        table = known
    else:
        land = replace(_landscape(model.model, first, width), spread=spread)
        table = samples.rows(land, count, missing=hasattr(first, "_predictors")).astype(object)
        _fill_known_values(first, table, range(width))
        table = table if known is None or known.shape[1] != width else np.concatenate([table, known])
    if len(model.inputs) > 1:
        pairs = zip(model.inputs, table.T, strict=True)
        return {t.name: _typed(values.reshape(-1, 1), t.datatype) for t, values in pairs}
    return {columns.INPUT: _typed(table, model.inputs[0].datatype)}


def _typed(values: np.ndarray, datatype: str) -> np.ndarray:
    return values if datatype == "BYTES" else values.astype(DTYPES[datatype])


def _texts(vectorizer: Any, count: int) -> np.ndarray:
    rng = np.random.default_rng(20)
    words = sorted(getattr(vectorizer, "vocabulary_", None) or ["some", "words", "of", "text"])
    words = [words[index] for index in rng.integers(0, len(words), size=200)]
    lines = [" ".join(rng.choice(words, size=rng.integers(1, 12))) for _ in range(count)]
    return np.array(lines, dtype=object)


def _fill_known_values(first: Any, table: np.ndarray, indices: Any) -> None:
    """Put known categories where a step has learnt them, also inside the branches of a column transformer."""
    rng = np.random.default_rng(21)
    if hasattr(first, "transformers_"):
        for step, inner in columns.branches(first):
            _fill_known_values(columns.first_step(step), table, inner)
            _fill_from_later_steps(step, table, inner, rng)
        return
    _fill(columns.categories_of(first), table, indices, rng)


def _fill_from_later_steps(step: Any, table: np.ndarray, indices: list[int], rng: np.random.Generator) -> None:
    for _, later in getattr(step, "steps", ())[1:]:
        categories = columns.categories_of(later)
        if len(categories) == len(indices):
            _fill(categories, table, indices, rng)


def _fill(categories: list[list[Any]], table: np.ndarray, indices: Any, rng: np.random.Generator) -> None:
    for index, values in zip(indices, categories, strict=False):
        known = [value for value in values if value is not None and value == value] or [0.0]
        table[:, index] = [known[at] for at in rng.integers(0, len(known), size=len(table))]


def _landscape(model: Any, first: Any, width: int) -> Landscape:
    """What the input looks like, from the step that sees it; splits of later steps are led back to it."""
    is_direct = not hasattr(model, "steps") or len(model.steps) == 1
    splits = [split for part in parts_of(model) for split in _splits(part)][:SPLITS]
    if hasattr(first, "transformers_"):
        return _columns_landscape(first, width, splits)
    found = _remembered(first, width)
    if found is None:
        return samples.plain(width, splits if is_direct else [])
    center, scale = found
    if is_direct:
        return Landscape(center, scale, splits)
    if not _is_linear(first):
        return Landscape(center, scale, [])
    beside = [(column, center[column] + scale[column] * value) for column, value in splits if column < width]
    return Landscape(center, scale, beside)


def _is_linear(step: Any) -> bool:
    return hasattr(step, "scale_") and (hasattr(step, "mean_") or hasattr(step, "center_"))


def _columns_landscape(first: Any, width: int, splits: list[tuple[int, float]]) -> Landscape:
    """As the branches know their columns; splits of what follows are led back through branches that only scale."""
    land = samples.plain(width, [])
    origin: dict[int, int] = {}  # column of output → of input
    for (step, indices), outputs in zip(columns.branches(first), columns.outputs(first), strict=True):
        parts = [step, *(later for _, later in getattr(step, "steps", ()))]
        found = next((pair for part in parts if (pair := _remembered(part, len(indices)))), None)
        if found:
            land.center[indices], land.scale[indices] = found
        if any(_is_linear(part) for part in parts) and len(outputs) == len(indices):
            origin |= dict(zip(outputs, indices, strict=True))
    land.splits = [
        (origin[at], land.center[origin[at]] + land.scale[origin[at]] * value) for at, value in splits if at in origin
    ]
    return land


def _remembered(part: Any, width: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre and spread of each column, from the first attribute that has them."""
    if np.shape(getattr(part, "data_range_", ())) == (width,):
        return part.data_min_ + part.data_range_ / 2, np.where(part.data_range_ > 0, part.data_range_ / 4, 0.5)
    for name in _PLACES:
        array = points.table_of(getattr(part, name, None), width)
        if array is None:
            continue
        spread = getattr(part, "scale_", None) if name in ("mean_", "center_") else None
        has_spread = spread is not None and np.shape(spread) == (width,)
        scale = np.asarray(spread, dtype=float) if has_spread else array.std(axis=0)
        return array.mean(axis=0), np.where(scale > 0, scale, np.maximum(np.abs(array.mean(axis=0)) / 2, 0.5))
    return None


def _splits(part: Any) -> list[tuple[int, float]]:
    tree: Any = getattr(part, "tree_", None)
    if hasattr(tree, "children_left"):
        inner = tree.children_left != -1
        return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
    found: list[tuple[int, float]] = []
    for predictor in [p for stage in getattr(part, "_predictors", ()) for p in stage]:
        nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
        found.extend(zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True))
    return found
