"""Loads a model, reads its signature, predicts once, and converts it to ONNX if the answers stay the same."""

import importlib
from pathlib import Path
from typing import Any

from worker.inspection.probes import leaner, parity, reporting, samples
from worker.inspection.probes.models import Arrays, to_response
from worker.inspection.probes.reporting import Failure, Reporter, describe

_HERE = "worker.inspection.probes."
_OPENERS = {
    "onnx": "graph_check",
    "skops": "skops_models",
    "pickle": "estimators",
    "joblib": "estimators",
    "xgboost": "xgboost_models",
    "lightgbm": "lightgbm_models",
}
_ESTIMATORS = ("skops", "pickle", "joblib")


def main() -> None:
    request, report = reporting.start()
    if request["kind"] in _ESTIMATORS:
        leaner.postpone_statistics()
    else:
        leaner.hide("sklearn")
    examine(request, report)


def examine(request: dict[str, Any], report: Reporter) -> None:
    """One request, four checks: load, signature, predict, convert. Ends with SystemExit where one fails."""
    kind = request["kind"]
    with report.check("load") as facts:
        module = importlib.import_module(_HERE + _OPENERS[kind])
        model = module.open_model(Path(request["path"]), kind, frozenset(request["allowed"]))
        facts.update(
            kind=model.origin.kind,
            written_by=model.origin.version,
            version=reporting.installed(model.library)[1],
            notes=model.origin.notes,
        )
        if model.origin.version:
            facts.update(state="warned", code="other_version")
    with report.check("signature") as facts:
        if kind != "onnx":
            model.learn_inputs(request.get("columns") or ())
        arrays, answers = _first_answers(model, kind)
        facts.update(inputs=[t.to_json() for t in model.inputs], outputs=[t.to_json() for t in model.outputs])
        facts.update(classes=model.origin.classes)
        if getattr(model, "left_out", ()):
            facts.update(state="warned", code="left_out", names=model.left_out)
    with report.check("predict") as facts:
        one = _example(model, request, arrays, facts)
        facts.update(
            example=samples.whole(one, model.inputs),
            response=_short(to_response(model.predict(one), model.outputs)),
        )
    if kind != "onnx":
        _convert(model, kind, request, report, arrays, answers)


def _first_answers(model: Any, kind: str) -> tuple[Arrays, Arrays]:
    """Made-up rows and what the model says to them; that tells its outputs."""
    arrays = _made_up(model, kind)
    answers = model.predict(arrays)
    model.learn_outputs(answers)
    return arrays, answers


def _made_up(model: Any, kind: str) -> Arrays:
    if kind in _ESTIMATORS:
        made: Arrays = importlib.import_module(_HERE + "estimator_samples").make(model, samples.ROWS)
        return made
    if kind == "onnx":
        return samples.for_tensors(model.inputs, 1)
    land = samples.plain(model.inputs[0].shape[1], model.splits())
    return {"input": samples.rows(land, samples.ROWS, missing=True)}


def _example(model: Any, request: dict[str, Any], arrays: Arrays, facts: dict[str, Any]) -> Arrays:
    """The user's example where it fits, else the first made-up row."""
    if request.get("example"):
        try:
            one = samples.from_request(request["example"], model.inputs)
        except Failure as failure:
            facts.update(state="warned", code=failure.code, **failure.facts)
        else:
            facts["is_own"] = True
            return one
    return {
        tensor.name: arrays[tensor.name][:1] if tensor.shape[:1] == (-1,) else arrays[tensor.name]
        for tensor in model.inputs
    }


def _short(body: dict[str, Any]) -> dict[str, Any]:
    """For showing: at most the first hundred values of each tensor."""
    return {side: [{**item, "data": item["data"][:100]} for item in items] for side, items in body.items()}


def _convert(model: Any, kind: str, request: dict[str, Any], report: Reporter, arrays: Arrays, answers: Arrays) -> None:
    with report.check("convert") as facts:
        folder = Path(request["folder"])
        problem = (
            "crashed"
            if request.get("is_native")
            else _to_onnx(model, kind, folder / "model.onnx", arrays, answers, facts)
        )
        if not problem:
            facts.update(served="onnx", file="model.onnx")
        elif request.get("is_exception"):
            if model.is_rebuilt:
                raise Failure("chooses_by_name")
            facts.update(state="warned", code=problem, served="pickle", file="", parity=None)
        elif kind in _ESTIMATORS:
            facts.update(state="warned", code=problem, served="skops", file="model.skops")
            _to_skops(model, kind, request, folder / "model.skops", arrays, answers, facts)
        else:
            facts.update(state="warned", code=problem, served=kind, file="", parity=None)


def _to_onnx(model: Any, kind: str, target: Path, arrays: Arrays, answers: Arrays, facts: dict[str, Any]) -> str:
    """Convert and compare; gives why the result cannot be served, or nothing.

    A scikit-learn model that answers differently with FP32, be it at a tie, gets a second try with FP64.
    """
    if kind not in _ESTIMATORS:
        return _try_conversion(model, "booster_conversion", target, arrays, answers, facts)
    problem = _try_conversion(model, "estimator_conversion", target, arrays, answers, facts)
    if problem in ("no_parity", "other_ties"):
        again: dict[str, Any] = {}
        if not _try_conversion(model, "estimator_conversion", target, arrays, answers, again, is_exact=True):
            facts.update(again)
            return ""
    return problem


def _try_conversion(
    model: Any, module: str, target: Path, arrays: Arrays, answers: Arrays, facts: dict[str, Any], **options: Any
) -> str:
    try:
        conversion = importlib.import_module(_HERE + module)
        conversion.convert(model, target, answers, **options)
        graph = importlib.import_module(_HERE + "graphs").open_model(target, "onnx", frozenset())
        other = graph.predict(arrays)
    except Exception as error:  # whatever a converter throws means: not convertible
        facts["error"] = describe(error)
        return "unconvertible"
    expected = conversion.expected(model, answers)
    margins = model.margins(arrays) if module == "estimator_conversion" else expected.get("probabilities")
    result = parity.compare(expected, other, margins)
    facts.update(onnx_parity=result, parity=result)
    if not result["passed"]:
        return "no_parity"
    return "other_ties" if result.get("ties") and module == "estimator_conversion" else ""


def _to_skops(
    model: Any, kind: str, request: dict[str, Any], target: Path, arrays: Arrays, answers: Arrays, facts: dict[str, Any]
) -> None:
    """The native way: a skops file, which must answer exactly as the original."""
    skops_models = importlib.import_module(_HERE + "skops_models")
    if kind == "skops" and not model.is_rebuilt:
        target = Path(request["path"])
        facts["file"] = ""
    else:
        skops_models.save(model.model, target)
    allowed = frozenset(request["allowed"])
    again = skops_models.open_model(target, "skops", allowed)
    again.inputs = model.inputs
    result = parity.compare(answers, again.predict(arrays), tolerance=1e-6)
    facts.update(parity=result, trusted=skops_models.trusted_types(target, allowed))
    if not result["passed"]:
        raise Failure("not_the_same")


if __name__ == "__main__":
    main()
