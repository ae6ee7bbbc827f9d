"""What a scikit-learn model can be asked, and under which names its answers go out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from worker.inspection.probes.reporting import Failure

# The first that a model has is served. The runtime's loader for skops files knows the same names of outputs.
METHODS = ("predict", "transform", "score_samples", "mahalanobis", "kneighbors")
# Pipelines and searches do not pass these on, though what they are made of could answer. The runtime does the same.
_INNER = ("mahalanobis", "kneighbors")


def method_of(model: Any) -> str:
    """The method that is served; a Failure that says what to train instead where there is none."""
    last = last_step(model)
    kind = type(last).__name__
    if getattr(last, "novelty", None) is False:
        raise Failure("not_novelty", kind=kind)
    found = next((name for name in METHODS if find(model, name)), "")
    if found:
        return found
    if hasattr(last, "embedding_"):
        raise Failure("only_places", kind=kind)
    if hasattr(last, "fit_predict") or hasattr(last, "row_labels_"):
        raise Failure("only_labels", kind=kind)
    raise Failure("cannot_predict", kind=kind)


def find(model: Any, name: str) -> Callable[[Any], Any] | None:
    """The method of the model, or of what answers inside it, with the steps before that in front; None where none."""
    found: Callable[[Any], Any] | None = getattr(model, name, None)
    if found or name not in _INNER:
        return found
    if hasattr(model, "best_estimator_"):
        return find(model.best_estimator_, name)
    if not getattr(model, "steps", None):
        return None
    inner = find(model.steps[-1][1], name)
    return inner and (lambda table: inner(model[:-1].transform(table)))


def last_step(model: Any) -> Any:
    """The part that answers: through pipelines and searches."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif getattr(model, "steps", None):
            model = model.steps[-1][1]
        else:
            return model


def ask(model: Any, method: str, table: Any) -> dict[str, np.ndarray]:
    """The answer of a model that does not classify."""
    answer = (find(model, method) or getattr(model, method))(table)
    if method == "kneighbors":
        return {"distances": np.asarray(answer[0]), "indices": np.asarray(answer[1])}
    output = np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)
    if output.ndim == 1 and len(output) != len(table):  # a few give one row without its first dimension
        output = output.reshape(len(table), -1)
    return {"output": output}
