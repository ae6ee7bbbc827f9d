"""Opens a model of a library that is not ours and turns it into ONNX: runs in an environment with that library.

The same four checks as ``examining``; there is no native form to fall back to, so a conversion that fails or answers
differently is the end.
"""

import importlib
import os
from pathlib import Path
from typing import Any

from worker.inspection.probes import parity, reporting, samples
from worker.inspection.probes.models import Arrays, Tensor, datatype_of, to_response
from worker.inspection.probes.reporting import Failure, Reporter, describe

_HERE = "worker.inspection.probes."
_OPENERS = {
    "torchscript": "torch_models",
    "torch_export": "torch_models",
    "tensorflow": "tensorflow_models",
    "keras": "keras_models",
    "hdf5": "keras_models",
}
_QUIET = {"KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
_FILE = "model.onnx"


def main() -> None:
    request, report = reporting.start()
    os.environ |= _QUIET | {"KERAS_HOME": os.environ["TMPDIR"]}
    with report.check("load") as facts:
        module = importlib.import_module(_HERE + _OPENERS[request["kind"]])
        model = module.open_model(Path(request["path"]), request["kind"])
        version = reporting.installed(model.library)[1]
        facts.update(kind=model.origin.kind, version=version, written_by=model.origin.version)
        facts.update(notes=model.origin.notes)
    with report.check("signature") as facts:
        arrays = model.learn_inputs(request.get("example"))
        answers = model.predict(arrays)
        _refuse_odd(answers)
        model.outputs = [Tensor(name, datatype_of(array), _shape(model, array)) for name, array in answers.items()]
        facts.update(inputs=[t.to_json() for t in model.inputs], outputs=[t.to_json() for t in model.outputs])
    with report.check("predict") as facts:
        one = _example(model, request.get("example"), arrays, facts)
        facts["example"] = samples.whole(one, model.inputs)
        facts["response"] = _short(to_response(model.predict(one), model.outputs))
    _convert(model, Path(request["folder"]) / _FILE, report, arrays, answers)


def _refuse_odd(answers: Arrays) -> None:
    if not answers:
        raise Failure("unusual_outputs", kind="nothing")


def _shape(model: Any, array: Any) -> tuple[int, ...]:
    return (-1, *array.shape[1:]) if model.has_free_rows and array.ndim else tuple(array.shape)


def _example(model: Any, example: Any, arrays: Arrays, facts: dict[str, Any]) -> Arrays:
    """The user's example where it fits, else the first made-up row."""
    if example:
        try:
            one = samples.from_request(example, model.inputs)
        except Failure as failure:
            facts.update(state="warned", code=failure.code, **failure.facts)
        else:
            facts["is_own"] = True
            return one
    return {name: array[:1] if model.has_free_rows else array for name, array in arrays.items()}


def _short(body: dict[str, Any]) -> dict[str, Any]:
    """For showing: at most the first hundred values of each tensor."""
    return {side: [{**item, "data": item["data"][:100]} for item in items] for side, items in body.items()}


def _convert(model: Any, target: Path, report: Reporter, arrays: Arrays, answers: Arrays) -> None:
    with report.check("convert") as facts:
        try:
            model.convert(target)
            graph = importlib.import_module(_HERE + "graphs").open_model(target, "onnx", frozenset())
            other = graph.predict({tensor.name: arrays[tensor.name] for tensor in graph.inputs})
        except Exception as error:  # whatever a converter throws means: not convertible
            raise Failure("not_converted", error=describe(error)) from error
        result = parity.compare(answers, other)
        facts.update(onnx_parity=result, parity=result)
        if not result["passed"]:
            raise Failure("converted_differs")
        facts.update(served="onnx", file=_FILE)


if __name__ == "__main__":
    main()
