"""Inputs made up for a scikit-learn model from what its parts remember of their training data."""

from typing import Any

import numpy as np

from worker.inspection.probes import columns, samples
from worker.inspection.probes.estimators import Estimator, parts_of
from worker.inspection.probes.models import Arrays
from worker.inspection.probes.samples import Landscape

SPLITS = 5000

# Attributes that hold one value, or rows of values, for each input column.
_PLACES = (
    "mean_",
    "center_",
    "data_min_",
    "data_max_",
    "theta_",
    "means_",
    "cluster_centers_",
    "support_vectors_",
    "_fit_X",
    "X_train_",
)


def make(model: Estimator, count: int) -> Arrays:
    """Rows that the model can predict: if some are refused (logarithms, counts), their absolute values are tried."""
    arrays = _make(model, count)
    try:
        model.predict(arrays)
    except ValueError:
        return {name: array if array.dtype == object else np.abs(array) for name, array in arrays.items()}
    return arrays


def _make(model: Estimator, count: int) -> Arrays:
    first = columns.first_step(model.model)
    if columns.reads_text(first):
        return {columns.INPUT: _texts(first, count)}
    width = int(getattr(model.model, "n_features_in_", None) or first.n_features_in_)
    land = _landscape(model.model, first, width)
    table = samples.rows(land, count, missing=hasattr(first, "_predictors")).astype(object)
    _fill_known_values(first, table, range(width))
    if len(model.inputs) > 1:
        pairs = zip(model.inputs, table.T, strict=True)
        return {t.name: _typed(values.reshape(-1, 1), t.datatype) for t, values in pairs}
    return {columns.INPUT: _typed(table, model.inputs[0].datatype)}


def _typed(values: np.ndarray, datatype: str) -> np.ndarray:
    return values if datatype == "BYTES" else values.astype(np.float32)


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
    splits = [split for part in parts_of(model) for split in _splits(part)][:SPLITS]
    if hasattr(first, "transformers_"):
        return _columns_landscape(first, width)
    found = _remembered(first, width)
    if found is None:
        is_direct = not hasattr(model, "steps") or len(model.steps) == 1
        return samples.plain(width, splits if is_direct else [])
    center, scale = found
    beside = [(column, center[column] + scale[column] * value) for column, value in splits if column < width]
    return Landscape(center, scale, beside if hasattr(first, "scale_") else [], exact=False)


def _columns_landscape(first: Any, width: int) -> Landscape:
    land = samples.plain(width, [])
    for step, indices in columns.branches(first):
        parts = [step, *(later for _, later in getattr(step, "steps", ()))]
        found = next((pair for part in parts if (pair := _remembered(part, len(indices)))), None)
        if found:
            land.center[indices], land.scale[indices] = found
    return land


def _remembered(part: Any, width: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre and spread of each column, from the first attribute that has them."""
    for name in _PLACES:
        value = getattr(part, name, None)
        try:
            array = np.atleast_2d(np.asarray(value, dtype=float))
        except (TypeError, ValueError):
            continue
        if value is None or array.shape[-1] != width or array.ndim != 2:
            continue
        spread = getattr(part, "scale_", None) if name in ("mean_", "center_") else None
        has_spread = spread is not None and np.shape(spread) == (width,)
        scale = np.asarray(spread, dtype=float) if has_spread else array.std(axis=0)
        return array.mean(axis=0), np.where(scale > 0, scale, np.maximum(np.abs(array.mean(axis=0)) / 2, 0.5))
    return None


def _splits(part: Any) -> list[tuple[int, float]]:
    tree = getattr(part, "tree_", None)
    if tree is not None:
        inner = tree.children_left != -1
        return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
    found: list[tuple[int, float]] = []
    for predictor in [p for stage in getattr(part, "_predictors", ()) for p in stage]:
        nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
        found.extend(zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True))
    return found
