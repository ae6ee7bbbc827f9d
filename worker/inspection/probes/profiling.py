"""Loads the file that will be served, in a fresh process, as the runtime does, and measures it."""

import importlib
import json
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worker.inspection.probes import leaner, reporting, samples
from worker.inspection.probes.models import Arrays, Tensor, to_request, to_response
from worker.inspection.probes.reporting import Reporter, plain

_HERE = "worker.inspection.probes."
_OPENERS = {
    "onnx": "graphs",
    "skops": "skops_models",
    "xgboost": "xgboost_models",
    "lightgbm": "lightgbm_models",
    "pickle": "estimators",
}
_LIBRARIES = {
    "onnx": ("onnxruntime",),
    "skops": ("scikit-learn", "skops"),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "pickle": ("scikit-learn", "skops", "joblib"),
}
_BROUGHT_ALONG = ("xgboost", "lightgbm")  # by a pickle that an exception covers

BUDGET = 0.4  # seconds for the calls of one size
CALLS = 200
BUSY = 0.05  # seconds of processor time: some kernels count that of a process in hundredths


def main() -> None:
    request, report = reporting.start()
    if request["served"] not in ("skops", "pickle"):
        leaner.hide("sklearn")
    profile(request, report)


def profile(request: dict[str, Any], report: Reporter) -> None:
    """One request, one check: profile. Ends with SystemExit where it fails."""
    with report.check("profile") as facts:
        before = resident()
        path, kind = Path(request["path"]), request["served"]
        opener = importlib.import_module(_HERE + _OPENERS[kind])
        spoken = "joblib" if kind == "pickle" else kind  # whose reader takes both, as the runtime does
        model = opener.open_model(path, spoken, frozenset(request["allowed"]))
        inputs = [_tensor(**tensor) for tensor in request["inputs"]]
        if kind != "onnx":  # a graph knows its own names, an estimator may have forgotten those of its columns
            model.inputs, model.outputs = inputs, [_tensor(**tensor) for tensor in request["outputs"]]
        one = samples.from_request(request["example"], inputs) if request["example"] else samples.for_tensors(inputs, 1)
        answers = model.predict(one)
        if kind == "onnx":
            model.learn_outputs(answers)
            model.inputs = _with_columns(model.inputs, inputs)
        facts.update(
            memory_bytes=resident(), model_memory_bytes=max(resident() - before, 0), file_bytes=path.stat().st_size
        )
        facts.update(inputs=[t.to_json() for t in model.inputs], outputs=[t.to_json() for t in model.outputs])
        facts.update(speeds(model, one))
        facts["requirements"] = ["==".join(reporting.installed(library)) for library in _libraries(kind, request)]
        facts["golden"] = _golden(model, one)
        if not facts["golden"]:
            facts.update(state="warned", code="no_golden", megabytes=2 * reporting.GOLDEN // 1_000_000)


def _golden(model: Any, one: Arrays) -> dict[str, Any]:
    """The sample with its answer, or its first row with that; empty where both are too long to be kept."""
    for rows in (one, samples.first_row(one, model.inputs)):
        answers = model.predict(rows)
        both = {"request": to_request(rows, model.inputs), "response": to_response(answers, model.outputs)}
        golden: dict[str, Any] = plain(both)
        if len(json.dumps(golden)) <= 2 * reporting.GOLDEN:
            return golden
    return {}


def _tensor(name: str, datatype: str, shape: list[int], columns: Sequence[str] = ()) -> Tensor:
    return Tensor(name, datatype, tuple(shape), tuple(columns))


def _with_columns(inputs: list[Tensor], known: list[Tensor]) -> list[Tensor]:
    """The inputs of a graph with the names of the columns that the model has, which was converted to it."""
    columns = {(tensor.name, tensor.shape[-1:]): tensor.columns for tensor in known}
    return [replace(tensor, columns=columns.get((tensor.name, tensor.shape[-1:]), ())) for tensor in inputs]


def _libraries(kind: str, request: dict[str, Any]) -> list[str]:
    names = tuple(request.get("names", ()))
    return [*_LIBRARIES[kind], *(lib for lib in _BROUGHT_ALONG if any(name.startswith(f"{lib}.") for name in names))]


def speeds(model: Any, one: Arrays) -> dict[str, Any]:
    """What calls of 1, 8 and 32 rows take, and the rows of a second on one core.

    ``latency_ms``: wall time of a whole call; batches only where the number of rows is free. ``throughput``: rows per
    second of processor time at the largest size, which another process on the machine does not change.
    """
    times, busy = _measure(model, one)
    found = {"p50": statistics.median(times), "p99": times[min(len(times) - 1, int(len(times) * 0.99))]}
    rows = 1
    if all(tensor.shape[:1] == (-1,) for tensor in model.inputs):
        for rows in (8, 32):
            batch = {name: np.concatenate([array[:1]] * rows) for name, array in one.items()}
            times, busy = _measure(model, batch)
            found[f"batch_{rows}"] = statistics.median(times)
    latency = {name: round(value * 1000, 4) for name, value in found.items()}
    throughput = {"rows_per_second": round(rows / busy, 1) if busy > 0 else None, "rows": rows}
    return {"latency_ms": latency, "throughput": throughput}


def _measure(model: Any, arrays: Arrays) -> tuple[list[float], float]:
    """Seconds of each call, sorted, and processor seconds of one on average."""
    model.predict(arrays)
    times: list[float] = []
    begin, stop = time.process_time(), time.perf_counter() + BUDGET
    while len(times) < CALLS and (not times or time.perf_counter() < stop):
        start = time.perf_counter()
        model.predict(arrays)
        times.append(time.perf_counter() - start)
    return sorted(times), _busy(model, arrays, begin, len(times))


def _busy(model: Any, arrays: Arrays, begin: float, calls: int) -> float:
    """Processor seconds of one call, of those since ``begin`` and of as many more as it takes to tell."""
    stop = time.perf_counter() + BUDGET
    while time.process_time() - begin < BUSY and time.perf_counter() < stop:
        model.predict(arrays)
        calls += 1
    return (time.process_time() - begin) / calls


def resident() -> int:
    """Bytes of memory in use now; the peak so far where the kernel does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
