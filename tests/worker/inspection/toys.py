"""Every scikit-learn estimator fitted on toy data, in four ways: bare, on two words, over a table, in a search."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from tests.worker.inspection import zoo
from tests.worker.inspection.agreement import local

Make = Callable[..., Any]

_SMALL = {"n_estimators": 5, "max_iter": 250, "Cs": 2, "cv": 2, "n_jobs": 1, "n_alphas": 3, "alphas": 3, "n_init": 1}
_SEEDED = {"random_state": 0}
_CHOICES = {
    "alpha": [0.5, 1.0],
    "C": [0.5, 1.0],
    "max_depth": [2, 3],
    "n_neighbors": [3, 5],
    "n_components": [1, 2],
    "n_clusters": [2, 3],
    "tol": [1e-3, 1e-4],
}


@dataclass
class Fitted:
    """A model, and rows it can be asked about: an array, a table of objects, or a list of texts."""

    model: Any
    rows: Any


def bare(cls: Make) -> Fitted | None:
    """The estimator fitted on the first toy data that it takes."""
    return next((found for model in _made(cls) for found in _tried(model, _toys())), None)


def of_two_words(cls: Make) -> Fitted | None:
    """A classifier of two classes that are words, which many treat apart from three; none for others."""
    rows, answers = np.abs(zoo.X), np.array(["no", "yes"])[zoo.Y % 2]
    made = (model for model in _made(cls) if is_classifier(model))
    return next((found for model in made for found in _tried(model, iter([(rows, answers)]))), None)


def in_pipeline(cls: Make) -> Fitted | None:
    """The estimator behind a column transformer over two columns of numbers and two of words."""
    table = zoo.mixed_table()
    for numbers in (None, MinMaxScaler()):
        for model in _made(cls):
            found = next(_tried(_over_columns(model, numbers), _answers_for(model, table)), None)
            if found:
                return found
    return None


def in_search(cls: Make) -> Fitted | None:
    """The estimator in a grid search over one of its parameters."""
    for model in _made(cls):
        known = model.get_params(deep=False)
        name = next((name for name in _CHOICES if isinstance(known.get(name), int | float)), None)
        grid = {name: _CHOICES[name]} if name else {}
        found = next(_tried(GridSearchCV(model, grid, cv=2, error_score="raise"), _toys()), None)
        if found:
            return found
    return None


KINDS: dict[str, Callable[[Make], Fitted | None]] = {
    "bare": bare,
    "words": of_two_words,
    "pipeline": in_pipeline,
    "search": in_search,
}


def _made(cls: Make) -> Iterator[Any]:
    inner = (DecisionTreeClassifier(random_state=0), LogisticRegression(), Ridge())
    parts: tuple[Callable[[], Any], ...] = (
        cls,
        *(partial(cls, model) for model in (*inner, inner[0].fit(zoo.X, zoo.Y))),
        *(partial(cls, [("a", model), ("b", clone(model))]) for model in inner),
        partial(cls, [("a", MinMaxScaler(), [0, 1])]),
        partial(cls, [("a", MinMaxScaler())]),
        partial(cls, np.eye(4)),
        partial(cls, n_components=2),
        partial(cls, perplexity=5.0),
        partial(cls, DecisionTreeClassifier(), {"max_depth": [2, 3]}),
    )
    for make in parts:
        for wished in (_SMALL | _SEEDED, _SEEDED):
            with suppress(Exception):
                model = make()
                model.set_params(**{k: v for k, v in wished.items() if k in model.get_params(deep=False)})
                is_classifier(model)  # raises for one that was given a part of the wrong kind
                yield model


def _toys() -> Iterator[tuple[Any, ...]]:
    positive, kernel = np.abs(zoo.X), zoo.X @ zoo.X.T
    yield from ((positive, zoo.Y), (positive, zoo.Y % 2), (zoo.XR, np.abs(zoo.YR)), (positive,))
    yield from ((zoo.XR, np.stack([zoo.YR, -zoo.YR], axis=1)), (positive, np.stack([zoo.Y, 2 - zoo.Y], axis=1)))
    yield from (
        (kernel, zoo.Y),
        (positive[:, :1], zoo.YR[: len(positive)]),
        (positive[:, 0], zoo.Y),
        (zoo.TEXTS, zoo.MOODS),
    )
    yield from ((zoo.WORDS,), ([["a", "b"], ["b"]],), ([{"a": 1}, {"b": 2}],), (np.zeros((3, 8, 8)),))


def _answers_for(model: Any, table: Any) -> Iterator[tuple[Any, ...]]:
    count = len(table)
    if is_classifier(model):
        yield table, np.array(["no", "yes", "perhaps"])[np.arange(count) % 3]
        yield table, np.array(["no", "yes"])[np.arange(count) % 2]
    yield table, np.arange(1.0, count + 1)
    yield table, np.arange(count) % 2
    yield table, np.stack([np.arange(count) % 2, np.arange(count) % 3], axis=1)


def _over_columns(model: Any, numbers: Any) -> Pipeline:
    if numbers is None:
        return zoo.mixed_pipeline(clone(model))
    columns = ColumnTransformer([("n", numbers, [0, 1]), ("w", OneHotEncoder(sparse_output=False), [2, 3])])
    return make_pipeline(columns, clone(model))


def _tried(model: Any, toys: Iterator[tuple[Any, ...]]) -> Iterator[Fitted]:
    """The model fitted on what it takes and can then be asked about; on anything where it can be asked nothing."""
    for arguments in toys:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fitted = Fitted(clone(model).fit(*arguments), arguments[0])
                local(fitted.model, fitted.rows)
            except Exception:  # toy data does not suit every estimator: then the next is tried
                continue
        yield fitted
