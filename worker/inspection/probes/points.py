"""The rows that a scikit-learn model remembers of its training, led back to what its input looked like.

At its own points a model is most easily caught out: there kernels are steepest, and distances and margins are ties.
"""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from worker.inspection.probes import columns
from worker.inspection.probes.estimators import parts_of

MOST = 256
POINTS = (
    "means_",
    "cluster_centers_",
    "subcluster_centers_",
    "support_vectors_",
    "quantiles_",
    "_fit_X",
    "X_train_",
    "X_fit_",
)


def known_rows(model: Any) -> np.ndarray | None:
    """At most ``MOST`` rows of input as a table of objects; none where the model remembers none, or forgot the way."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    steps = (
        [step for _, step in model.steps if step not in (None, "passthrough")] if hasattr(model, "steps") else [model]
    )
    for at in range(len(steps) - 1, -1, -1):
        rows = _points_of(steps[at])
        if rows is not None:
            chosen = rows[np.random.default_rng(22).permutation(len(rows))[:MOST]]
            return _through(steps[:at], chosen)
    return None


def _points_of(step: Any) -> np.ndarray | None:
    width = getattr(step, "n_features_in_", None)
    if width is None:
        return None
    tables = (table_of(getattr(part, name, None), width) for part in parts_of(step) for name in POINTS)
    return next((table for table in tables if table is not None and len(table)), None)


def _through(steps: list[Any], rows: np.ndarray) -> np.ndarray | None:
    try:
        for step in reversed(steps):
            rows = _lead_back(step, rows)
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # not every step can be undone
        return None
    return rows.astype(object)


def _lead_back(step: Any, rows: np.ndarray) -> np.ndarray:
    """What went into a step that gave these rows."""
    if isinstance(step, Pipeline):
        for _, inner in reversed(step.steps):
            rows = _lead_back(inner, rows)
        return rows
    if isinstance(step, ColumnTransformer):
        table = np.zeros((len(rows), step.n_features_in_), dtype=object)
        for (branch, indices), places in zip(columns.branches(step), columns.outputs(step), strict=True):
            table[:, indices] = _lead_back(branch, rows[:, places])
        return table
    if hasattr(step, "statistics_") and rows.shape[1] == len(step.statistics_):  # an imputer changes nothing here
        return rows
    return np.asarray(step.inverse_transform(rows))


def table_of(value: Any, width: int) -> np.ndarray | None:
    """Rows of ``width`` numbers, if the value holds such."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    try:
        array = np.atleast_2d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        return None
    return array if value is not None and array.ndim == 2 and array.shape[1] == width else None
