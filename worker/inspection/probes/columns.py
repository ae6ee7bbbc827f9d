"""Which inputs a scikit-learn model takes: one table of numbers, text, or a tensor for each column."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from worker.inspection.probes.models import Tensor, fitting
from worker.inspection.probes.reporting import Failure

INPUT = "input"

_RANK = ("FP32", "FP64", "BYTES")  # where two steps see the same column, the more demanding one decides
_TAKE_NO_TABLE = ("DictVectorizer", "FeatureHasher", "MultiLabelBinarizer", "PatchExtractor")


def inputs_of(model: Any, names: Sequence[str] = ()) -> list[Tensor]:
    """The inputs by our convention: ``input``, or a tensor for each column where they differ or have names.

    ``names`` are those that came beside the model, for columns that have none of their own.
    """
    first = first_step(model)
    if type(first).__name__ in _TAKE_NO_TABLE:
        raise Failure("takes_no_table", kind=type(first).__name__)
    if reads_text(first):
        return [Tensor(INPUT, "BYTES", (-1,))]
    if reads_labels(first):
        return [Tensor(INPUT, _datatype_of(first.classes_), (-1,))]
    width = width_of(model, first)
    types = column_types(first, width)
    if isinstance(first, ColumnTransformer) and (len(set(types)) > 1 or chooses_by_name(first)):
        return [
            Tensor(name, word, (-1, 1))
            for name, word in zip(column_names(model, first, int(width), names), types, strict=True)
        ]
    own = names_in(model, first)
    shown = fitting(names if own is None else own, width)
    return [Tensor(INPUT, "FP64" if "FP64" in types else types[0], (-1, width), shown)]


def width_of(model: Any, first: Any) -> int:
    """How many columns the model takes."""
    width = getattr(model, "n_features_in_", None) or getattr(first, "n_features_in_", None)
    if width is None and hasattr(first, "X_thresholds_"):  # an isotonic regression, which takes one and does not say so
        return 1
    if width is None:
        raise Failure("no_width")
    return int(width)


def first_step(model: Any) -> Any:
    """The part that sees the input first: through pipelines and searches."""
    while True:
        if isinstance(model, Pipeline):
            steps = [step for _, step in model.steps if step not in (None, "passthrough")]
            model = steps[0] if steps else model
            if not steps:
                return model
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, FeatureUnion) and reads_text(first_step(model.transformer_list[0][1])):
            model = model.transformer_list[0][1]
        else:
            return model


def reads_text(step: Any) -> bool:
    return hasattr(step, "build_analyzer")


def reads_labels(step: Any) -> bool:
    """Whether it encodes a list of labels, and not a table."""
    return type(step).__name__ in ("LabelEncoder", "LabelBinarizer") and hasattr(step, "classes_")


def _datatype_of(values: Any) -> str:
    kind = np.asarray(values).dtype.kind
    return "INT64" if kind in "iu" else "BOOL" if kind == "b" else "FP64" if kind == "f" else "BYTES"


def names_in(model: Any, first: Any) -> Any:
    """What the columns were called when the model was fitted on a table; None where it was not."""
    names = getattr(model, "feature_names_in_", None)
    return getattr(first, "feature_names_in_", None) if names is None else names


def column_names(model: Any, first: Any, width: int, beside: Sequence[str] = ()) -> list[str]:
    names = names_in(model, first)
    if names is None and len(set(beside)) == width:
        names = beside
    return [str(name) for name in names] if names is not None else [f"x{index}" for index in range(width)]


def chooses_by_name(transformer: ColumnTransformer) -> bool:
    """Whether columns are chosen by name, so that callers will want to give them by name."""
    return hasattr(transformer, "feature_names_in_")


def bind(transformer: ColumnTransformer) -> None:
    """Choose columns by position instead of by name: the model then takes plain tables, where there is no pandas."""
    if not chooses_by_name(transformer):
        return
    places = {name: _places(transformer, name) for name, _, _ in transformer.transformers_}
    transformer.transformers_ = [(name, step, places[name]) for name, step, _ in transformer.transformers_]
    del transformer.feature_names_in_


def _places(transformer: ColumnTransformer, name: str) -> Any:
    """The positions of one branch; a single one for a vectoriser, which takes a column and not a table."""
    indices = _indices(transformer, name)
    chosen = next(columns for known, _, columns in transformer.transformers_ if known == name)
    return int(indices[0]) if isinstance(chosen, str) else [int(index) for index in indices]


def column_types(first: Any, width: int) -> list[str]:
    """The datatype of each input column: BYTES where words are expected, FP32 elsewhere.

    FP64 where single numbers have a meaning and FP32 cannot hold them.
    """
    types = ["FP32"] * width
    if isinstance(first, ColumnTransformer):
        for step, indices in branches(first):
            for index, word in zip(indices, column_types(first_step(step), len(indices)), strict=True):
                types[index] = max(word, types[index], key=_RANK.index)
        return types
    if reads_text(first):
        return ["BYTES"] * width
    for index, values in enumerate(categories_of(first)[:width]):
        if any(isinstance(value, str) for value in values):
            types[index] = "BYTES"
        elif any(isinstance(value, float) and value == value and np.float32(value) != value for value in values):
            types[index] = "FP64"
    return types


def branches(transformer: ColumnTransformer) -> Iterator[tuple[Any, list[int]]]:
    """Each fitted branch of a column transformer with the input columns it takes."""
    for name, step, _ in transformer.transformers_:
        if not isinstance(step, str):
            yield step, [int(i) for i in np.atleast_1d(_indices(transformer, name))]


def outputs(transformer: ColumnTransformer) -> Iterator[list[int]]:
    """The output columns of each of those branches."""
    for name, step, _ in transformer.transformers_:
        if not isinstance(step, str):
            place = transformer.output_indices_[name]
            yield list(range(place.start, place.stop))


def _indices(transformer: ColumnTransformer, name: str) -> Any:
    indices = transformer._transformer_to_input_indices[name]
    return range(transformer.n_features_in_)[indices] if isinstance(indices, slice) else list(indices)


def categories_of(step: Any) -> list[list[Any]]:
    """The known values of each column, where a step has learnt them."""
    if getattr(step, "categories_", None) is not None:
        return [list(values) for values in step.categories_]
    statistics = getattr(step, "statistics_", None)
    if statistics is not None and np.asarray(statistics).dtype == object:
        return [[value] for value in statistics]
    return []
