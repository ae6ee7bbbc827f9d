"""scikit-learn: opens files that the inert machine has passed, and predicts as the runtime does."""

import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib.numpy_pickle
import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import InconsistentVersionWarning

from worker.inspection.probes import columns, methods
from worker.inspection.probes.models import Arrays, Origin, Tensor, datatype_of
from worker.inspection.probes.reporting import Failure

_RENAMED = {"copy_reg": "copyreg", "__builtin__": "builtins"}  # Python 2 names that protocol 2 still writes


class _ListedNames:
    """Imports listed names only, though the machine outside has already seen to that."""

    allowed: frozenset[str] = frozenset()

    def find_class(self, module: str, name: str) -> Any:
        full = f"{_RENAMED.get(module, module)}:{name}"
        if full not in self.allowed:
            raise Failure("forbidden", name=full)
        return super().find_class(module, name)  # type: ignore[misc]


class _Plain(_ListedNames, pickle.Unpickler):
    pass


class _WithArrays(_ListedNames, joblib.numpy_pickle.NumpyUnpickler):
    pass


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> "Estimator":
    """The model in a pickle or a joblib file."""
    return wrap(lambda: _unpickle(path, kind, allowed))


def wrap(opener: Callable[[], Any]) -> "Estimator":
    """Open a model and note the library version that wrote it, where that is another one than ours."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = opener()
    seen = [w.message for w in caught if isinstance(w.message, InconsistentVersionWarning)]
    return Estimator(model, max((str(message.original_sklearn_version) for message in seen), default=""))


def _unpickle(path: Path, kind: str, allowed: frozenset[str]) -> Any:
    _ListedNames.allowed = allowed
    with open(path, "rb") as file:
        if kind == "joblib":
            return _WithArrays(str(path), file, ensure_native_byte_order=True).load()
        return _Plain(file).load()


class Estimator:
    """A fitted scikit-learn model with our signature around it."""

    library = "scikit-learn"

    def __init__(self, model: Any, written_by: str = "") -> None:
        if not isinstance(model, BaseEstimator):
            raise Failure("not_a_model", kind=type(model).__name__)
        refuse_file_readers(model)
        self.model = model
        self.inputs: list[Tensor] = []
        self.is_rebuilt = False
        self.method = methods.method_of(model)
        self.is_classifier = self.method == "predict" and is_classifier(model)
        self.outputs: list[Tensor] = []  # known once it has predicted
        self.origin = Origin(type(model).__name__, written_by, _classes(model) if self.is_classifier else ())

    def learn_inputs(self, names: Sequence[str] = ()) -> None:
        """Read the inputs from the model, and let it forget the names of its columns: from here on they are ours."""
        self.inputs = columns.inputs_of(self.model, names)
        self.is_rebuilt = rebuild(self.model)

    def predict(self, arrays: Arrays) -> Arrays:
        try:
            return self._answer(self.table(arrays))
        except ValueError as error:
            if "unknown categories" in str(error):
                raise Failure("unknown_values") from error
            raise

    def _answer(self, table: Any) -> Arrays:
        if not self.is_classifier:
            return methods.ask(self.model, self.method, table)
        label = _labels(np.asarray(self.model.predict(table)))
        if label.ndim > 1 or not hasattr(self.model, "predict_proba"):
            return {"label": label}
        return {"label": label, "probabilities": np.asarray(self.model.predict_proba(table), dtype=np.float32)}

    def table(self, arrays: Arrays) -> Any:
        """What the model itself takes: a matrix, a list, or a table of objects in the order of its columns."""
        if len(self.inputs) == 1:
            array = arrays[self.inputs[0].name]
            return array.astype(np.float64) if array.dtype.kind == "f" else array
        rows = np.empty((len(next(iter(arrays.values()))), len(self.inputs)), dtype=object)
        for index, tensor in enumerate(self.inputs):
            rows[:, index] = arrays[tensor.name].ravel()
        return rows

    def learn_outputs(self, answers: Arrays) -> None:
        self.outputs = [Tensor(name, datatype_of(array), (-1, *array.shape[1:])) for name, array in answers.items()]

    def margins(self, arrays: Arrays) -> np.ndarray | None:
        """The scores behind the labels, to tell ties from differences."""
        score = getattr(self.model, "predict_proba", None) or getattr(self.model, "decision_function", None)
        scores = score(self.table(arrays)) if score else None
        return scores if isinstance(scores, np.ndarray) and scores.ndim <= 2 else None


def _labels(answer: np.ndarray) -> np.ndarray:
    """Labels as whole numbers where they are, else as text."""
    if answer.dtype.kind in "iub" or (answer.dtype.kind == "f" and np.all(answer == np.round(answer))):
        return answer.astype(np.int64)
    return answer.astype(str).astype(object)


def _classes(model: Any) -> tuple[str, ...]:
    classes = getattr(model, "classes_", ())
    if isinstance(classes, list):  # several outputs
        return ()
    return tuple(str(value) for value in _labels(np.asarray(classes)).tolist()) if len(classes) else ()


def parts_of(model: Any, depth: int = 0) -> Iterator[Any]:
    """The model and everything it is made of, as far as its parameters and fitted parts show."""
    yield model
    if depth > 8:
        return
    for value in list(vars(model).values()) if hasattr(model, "__dict__") else ():
        for part in _estimators_in(value):
            yield from parts_of(part, depth + 1)


def _estimators_in(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, BaseEstimator):
        yield value
    elif isinstance(value, list | tuple) and depth < 3:
        for inner in value[:1000]:
            yield from _estimators_in(inner, depth + 1)
    elif isinstance(value, dict) and depth < 3:
        yield from _estimators_in(list(value.values()), depth + 1)
    elif isinstance(value, np.ndarray) and value.dtype == object and value.size <= 10_000:
        yield from _estimators_in(value.ravel().tolist(), depth + 1)


def rebuild(model: Any) -> bool:
    """Make the model independent of column names; whether that changed it."""
    transformers = [
        part for part in parts_of(model) if isinstance(part, ColumnTransformer) and columns.chooses_by_name(part)
    ]
    for transformer in transformers:
        columns.bind(transformer)
    if transformers:
        for part in parts_of(model):
            vars(part).pop("feature_names_in_", None)
    return bool(transformers)


def refuse_file_readers(model: Any) -> None:
    """A vectoriser told to read files would open whatever path a request names."""
    for part in parts_of(model):
        if getattr(part, "input", "content") != "content" and hasattr(part, "build_analyzer"):
            raise Failure("reads_files", kind=type(part).__name__)
