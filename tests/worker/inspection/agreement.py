"""Whether what is served answers as the model does where it was trained."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from worker.specs import Signature, Tensor

TOLERANCE = 1e-4  # absolute, and relative to the local answer


def as_request(rows: Any, signature: Signature) -> dict[str, Any]:
    """The rows as an inference request: one tensor, or one for each column."""
    table = np.asarray(rows, dtype=object)
    if len(signature.inputs) > 1:
        return {"inputs": [_item(t, table[:, [at]]) for at, t in enumerate(signature.inputs)]}
    (tensor,) = signature.inputs
    return {"inputs": [_item(tensor, table.reshape(len(table), -1) if len(tensor.shape) == 2 else table)]}


def _item(tensor: Tensor, values: np.ndarray) -> dict[str, Any]:
    data = [value if isinstance(value, str) else _number(value, tensor.datatype) for value in values.ravel()]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(values.shape), "data": data}


def _number(value: Any, datatype: str) -> Any:
    if datatype == "FP32":
        return float(np.float32(value))
    return int(value) if "INT" in datatype else bool(value) if datatype == "BOOL" else float(value)


def as_sent(rows: Any, signature: Signature) -> Any:
    """The rows with the precision that the request has."""
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "fO":
        return rows
    words = [tensor.datatype for tensor in signature.inputs]
    table = rows.copy()
    for at in range(len(words) if len(words) > 1 else 0):
        table[:, at] = [_rounded(value, words[at]) for value in rows[:, at]]
    return table if len(words) > 1 else _rounded(rows, words[0])


def _rounded(values: Any, datatype: str) -> Any:
    if datatype != "FP32" or isinstance(values, str):
        return values
    rounded = np.asarray(values, dtype=np.float32).astype(np.float64)
    return rounded if isinstance(values, np.ndarray) else float(rounded)


def difference(model: Any, rows: Any, signature: Signature, answer: dict[str, Any]) -> str:
    """In which output the answer differs from the model's own, and how; empty where it does not."""
    got = {item["name"]: item for item in answer["outputs"]}
    for name, values in local(model, as_sent(rows, signature)).items():
        if name not in got:
            return f"no output {name}"
        told = _compare(values, np.array(got[name]["data"], dtype=object), got[name]["datatype"])
        if told:
            return f"{name}: {told}"
    return ""


def local(model: Any, rows: Any) -> dict[str, np.ndarray]:
    """What the model says where it was trained, under the names of our signatures."""
    if not hasattr(model, "predict"):
        return _other(model, rows)
    answer = np.asarray(model.predict(rows))
    if not is_classifier(model):
        return {"output": answer}
    if answer.ndim > 1 or not hasattr(model, "predict_proba"):
        return {"label": answer}
    return {"label": answer, "probabilities": np.asarray(model.predict_proba(rows))}


def _other(model: Any, rows: Any) -> dict[str, np.ndarray]:
    for name in ("transform", "score_samples", "mahalanobis"):
        if hasattr(model, name):
            answer = getattr(model, name)(rows)
            return {"output": np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)}
    if hasattr(model, "kneighbors"):
        return dict(zip(("distances", "indices"), model.kneighbors(rows), strict=True))
    if hasattr(model, "best_estimator_"):
        return _other(model.best_estimator_, rows)
    return _other(model.steps[-1][1], model[:-1].transform(rows)) if hasattr(model, "steps") else {}


def _compare(wanted: np.ndarray, got: np.ndarray, datatype: str) -> str:
    if wanted.size != got.size:
        return f"{got.size} values, expected {wanted.size}"
    wanted = wanted.ravel()
    if wanted.dtype.kind not in "fiub":
        count = int((wanted.astype(str) != got.astype(str)).sum())
        return f"{count} of {got.size} differ" if count else ""
    if datatype == "BYTES":
        return f"text for {wanted.dtype}"
    if not got.size:
        return ""
    numbers = np.array([np.nan if value is None else value for value in got], dtype=np.float64)
    exact = wanted.astype(np.float64)
    gap = np.nan_to_num(np.abs(exact - numbers) - TOLERANCE * np.abs(exact), nan=0.0, posinf=np.inf)
    gap[(exact == numbers) | (np.isnan(exact) & np.isnan(numbers))] = 0.0
    gap[np.isnan(exact) != np.isnan(numbers)] = np.inf
    worst = gap.max()
    return f"up to {worst:.3g} apart in {int((gap > TOLERANCE).sum())} of {gap.size}" if worst > TOLERANCE else ""
