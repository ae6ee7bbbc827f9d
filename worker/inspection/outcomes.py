"""Turns what a probe reports into evidence that people read."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from worker.inspection.probing import Event
from worker.inspection.refusals import Refusal
from worker.sandbox import Outcome
from worker.specs import Evidence, Message, gettext_noop

CHECKS = ("content", "safety", "sandbox", "load", "signature", "predict", "convert", "profile")
_OPENING = ("load", "signature", "predict", "convert")
PROBED = {"examining": _OPENING, "converting": _OPENING, "profiling": ("profile",)}

RUNNING = {
    "content": gettext_noop("Looking at the content"),
    "safety": gettext_noop("Looking for anything that could run"),
    "sandbox": gettext_noop("Choosing a sandbox"),
    "load": gettext_noop("Loading in the sandbox"),
    "signature": gettext_noop("Reading names, types and shapes"),
    "predict": gettext_noop("Predicting once"),
    "convert": gettext_noop("Converting to ONNX and comparing"),
    "profile": gettext_noop("Measuring size, memory and speed"),
}
FAILED = {
    "content": gettext_noop("Not a model that can be taken"),
    "safety": gettext_noop("Not safe to open"),
    "sandbox": gettext_noop("No sandbox to open it in"),
    "load": gettext_noop("It could not be loaded"),
    "signature": gettext_noop("Its inputs and outputs cannot be told"),
    "predict": gettext_noop("It could not predict"),
    "convert": gettext_noop("It cannot be brought into a form that is served"),
    "profile": gettext_noop("The file to serve could not be measured"),
}
SKIPPED = gettext_noop("Not looked at, because an earlier check failed")

_SAVE_AGAIN = gettext_noop(
    "Save the model again with current versions of its libraries, try it there, and upload the whole file."
)
_TO_ONNX = gettext_noop("Export the model to ONNX where it was trained, and upload that file.")

# What libraries say when they get no more memory, which is how most of them meet that limit.
_NO_MEMORY = re.compile(r"MemoryError|bad_alloc|bad allocation|Memory allocation|(?:can't|Unable to) allocate")

# Code of a failure or warning: reason and advice; both may use the facts that came with it.
_REASONS: dict[str, tuple[str, str]] = {
    "error": (gettext_noop("It stopped with: %(error)s"), _SAVE_AGAIN),
    "unknown_values": (
        gettext_noop("An encoder in it stops at values that were not there when it was fitted, as a request may have."),
        gettext_noop(
            'Fit it again with OneHotEncoder(handle_unknown="ignore") or'
            ' OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).'
        ),
    ),
    "forbidden": (
        gettext_noop("Opening the file would use %(name)s, which is not on the list of known parts."),
        _TO_ONNX,
    ),
    "invalid_graph": (gettext_noop("The ONNX checker found: %(error)s"), _SAVE_AGAIN),
    "not_installed": (gettext_noop("The library %(library)s is not installed here."), _TO_ONNX),
    "not_a_model": (
        gettext_noop("The file holds a %(kind)s, not a scikit-learn model."),
        gettext_noop("Save the fitted model or pipeline itself."),
    ),
    "reads_files": (
        gettext_noop("%(kind)s is set to read files by name, which would open files of the server."),
        gettext_noop("Set its parameter input to “content” and give it the text itself."),
    ),
    "no_width": (
        gettext_noop("The model does not say how many columns it takes; it may not be fitted."),
        gettext_noop("Fit the model before saving it."),
    ),
    "cannot_predict": (
        gettext_noop("A %(kind)s can neither predict nor transform new data."),
        gettext_noop("Choose an estimator with a predict method."),
    ),
    "not_novelty": (
        gettext_noop("This %(kind)s only finds outliers among the rows that it was fitted on."),
        gettext_noop("Fit it again with novelty=True; then it can judge new rows."),
    ),
    "only_labels": (
        gettext_noop("A %(kind)s only groups the rows that it was fitted on; it says nothing about new ones."),
        gettext_noop("Choose KMeans or MeanShift, or train a classifier on the groups that it found."),
    ),
    "only_places": (
        gettext_noop("A %(kind)s only arranges the rows that it was fitted on; it cannot place new ones."),
        gettext_noop("Choose PCA, KernelPCA or Isomap, which can place new rows."),
    ),
    "takes_no_table": (
        gettext_noop("A %(kind)s takes dictionaries, lists or whole images, which are neither numbers nor words."),
        gettext_noop("Do this step before the model is called, or use one that takes columns, such as OneHotEncoder."),
    ),
    "unusual_type": (
        gettext_noop("The input %(name)s is of type %(type)s, which the inference protocol does not have."),
        gettext_noop("Export the model with inputs that are plain tensors."),
    ),
    "no_tensors": (
        gettext_noop("None of the outputs is a plain tensor."),
        gettext_noop("Export the model again; with skl2onnx set the option zipmap to False."),
    ),
    "other_version": (
        gettext_noop("It was saved with version %(written_by)s and examined with %(version)s; answers may differ."),
        gettext_noop("Compare a few known answers, or save the model again with version %(version)s."),
    ),
    "left_out": (
        gettext_noop("Outputs that are no plain tensors are left out: %(names)s."),
        gettext_noop("Export the model again with the option zipmap set to False to get them as tensors."),
    ),
    "linear_booster": (
        gettext_noop("This XGBoost model is linear (gblinear), which cannot be served."),
        gettext_noop("Train a tree booster, or a linear model of scikit-learn."),
    ),
    "bad_example": (
        gettext_noop("The example does not fit the model: %(error)s. A made-up one was used."),
        gettext_noop("Correct the example to the names, types and shapes of the signature."),
    ),
    "unconvertible": (gettext_noop("It cannot be converted to ONNX: %(error)s. It is served in its own format."), ""),
    "no_parity": (
        gettext_noop(
            "Converted to ONNX it answers differently (up to %(worst)s apart, in %(where)s); it stays in its own form."
        ),
        "",
    ),
    "other_ties": (
        gettext_noop("Converted to ONNX it decides ties differently; it stays in its own format."),
        "",
    ),
    "no_form": (
        gettext_noop("It cannot be converted to ONNX, and the skops format cannot hold it: %(error)s"),
        gettext_noop("Replace this part by another one that does the same, e.g. Birch by KMeans."),
    ),
    "crashed": (gettext_noop("The conversion to ONNX ended early, so it is served in its own format."), ""),
    "chooses_by_name": (
        gettext_noop("It chooses columns by name, which only a converted model can be served with."),
        gettext_noop("Fit it on plain arrays, or choose the columns by number."),
    ),
    "not_the_same": (gettext_noop("Saved as skops and loaded again it answers differently."), _TO_ONNX),
    "no_example": (
        gettext_noop("The file does not say what its inputs look like, and a guess did not fit: %(error)s"),
        gettext_noop(
            "Upload an example with it (example.json: {“inputs”: [{“name”, “datatype”, “shape”, “data”}]}), or save it"
            " with torch.export.save, which keeps the shapes."
        ),
    ),
    "unusual_inputs": (
        gettext_noop("Its inputs are not all tensors: %(names)s."),
        gettext_noop("Give the model a forward method that takes tensors only, or export it to ONNX."),
    ),
    "unusual_outputs": (
        gettext_noop("Its answer is not a tensor or a plain collection of tensors, but %(kind)s."),
        gettext_noop("Return tensors, or export the model to ONNX."),
    ),
    "no_signature": (
        gettext_noop("The SavedModel has no serving signature, so nothing tells what goes in."),
        gettext_noop("Save it with tf.saved_model.save(model, folder, signatures=…), or with model.export(folder)."),
    ),
    "hdf5": (
        gettext_noop("The HDF5 file holds %(what)s, which no Keras file has."),
        gettext_noop("Save the model again with model.save('model.keras') and upload the whole file."),
    ),
    "keras_class": (
        gettext_noop("The model is made of %(name)s, which is not on the list of layers that compute only."),
        gettext_noop(
            "Use Keras' own layers, without Lambda, vocabularies and classes of your own, or export the model with"
            " model.export('model.onnx', format='onnx')."
        ),
    ),
    "no_keras_model": (
        gettext_noop("The HDF5 file has no description of a Keras model."),
        gettext_noop("Save the model, not only its weights: model.save('model.keras')."),
    ),
    "not_converted": (
        gettext_noop("It cannot be converted to ONNX, the only form in which it could be served: %(error)s"),
        gettext_noop("Export the model to ONNX where it was trained, and upload that file."),
    ),
    "converted_differs": (
        gettext_noop(
            "Converted to ONNX it answers differently (up to %(worst)s apart), and there is no other form in which it"
            " could be served."
        ),
        gettext_noop("Export the model to ONNX where it was trained, compare it there, and upload that file."),
    ),
    "no_golden": (
        gettext_noop(
            "One row and its answer are longer than %(megabytes)d MB, so no sample is kept: what is built and what"
            " starts is not compared with it."
        ),
        gettext_noop("Compare a known answer yourself before you send traffic to a release of it."),
    ),
    "time": (
        gettext_noop("It took longer than %(seconds)d seconds."),
        gettext_noop("Upload a smaller model, or ask an administrator to raise SLIPWAY_EXAMINE_SECONDS."),
    ),
    "memory": (
        gettext_noop("It needed more than %(megabytes)d MB of memory."),
        gettext_noop("Upload a smaller model, or ask an administrator to raise SLIPWAY_EXAMINE_MEMORY_BYTES."),
    ),
    "processes": (gettext_noop("It started too many processes."), _TO_ONNX),
    "signal": (gettext_noop("The library crashed on this file (signal %(signal)d)."), _SAVE_AGAIN),
    "exit": (gettext_noop("The examination ended early (exit code %(exit_code)d)."), _SAVE_AGAIN),
    "garbled": (gettext_noop("The examination gave no readable answer."), _SAVE_AGAIN),
}


def running(check: str) -> Evidence:
    return Evidence(check, "running", Message(RUNNING[check]))


def skipped(check: str) -> Evidence:
    return Evidence(check, "skipped", Message(SKIPPED))


def refused(check: str, refusal: Refusal) -> Evidence:
    return Evidence(check, "failed", Message(FAILED[check]), refusal.reason, refusal.advice, dict(refusal.details))


def failed(check: str, code: str, facts: Mapping[str, Any], seconds: float = 0.0) -> Evidence:
    """The evidence of a failure that has a code."""
    reason, advice = _explain(code, facts)
    return Evidence(check, "failed", Message(FAILED[check]), reason, advice, dict(facts), round(seconds, 3))


def crashed(check: str, outcome: Outcome, limits: Mapping[str, Any]) -> Evidence:
    """The evidence of a probe that did not live to report: a limit, a signal, an exit."""
    if outcome.timed_out or outcome.exceeded == "time":
        return failed(check, "time", limits, outcome.seconds)
    if outcome.exceeded in ("memory", "processes"):
        return failed(check, outcome.exceeded, limits, outcome.seconds)
    if _NO_MEMORY.search(outcome.stderr):
        return failed(check, "memory", {**limits, "log": outcome.stderr[-500:]}, outcome.seconds)
    if outcome.signal:
        return failed(check, "signal", {"signal": outcome.signal, "log": outcome.stderr[-500:]}, outcome.seconds)
    return failed(check, "exit", {"exit_code": outcome.exit_code or 0, "log": outcome.stderr[-500:]}, outcome.seconds)


def evidence(event: Event, limits: Mapping[str, Any]) -> Evidence:
    """The evidence of one event."""
    facts = event.facts
    if event.state == "running":
        return running(event.check)
    if event.state == "failed" and event.code == "error" and _NO_MEMORY.search(str(facts.get("error"))):
        return failed(event.check, "memory", {**facts, **limits}, event.seconds)
    if event.state == "failed":
        return failed(event.check, event.code, facts, event.seconds)
    reason, advice = _explain(event.code, facts) if event.state == "warned" else (None, None)
    summary = _SUMMARIES[event.check](facts)
    return Evidence(event.check, event.state, summary, reason, advice, _details(facts), round(event.seconds, 3))


def _details(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a page may show below a check; the samples are kept elsewhere."""
    return {key: value for key, value in facts.items() if key not in ("example", "golden")}


def _explain(code: str, facts: Mapping[str, Any]) -> tuple[Message, Message | None]:
    reason, advice = _REASONS.get(code, _REASONS["garbled"])
    parity = facts.get("onnx_parity")
    known = parity if isinstance(parity, dict) else {}
    shown = {**facts, "worst": _short(known.get("max_abs_diff")), "where": _where(known)}
    if isinstance(shown.get("names"), list):
        shown["names"] = ", ".join(str(name) for name in shown["names"][:5])
    return _message(reason, shown), _message(advice, shown) if advice else None


def _message(text: str, facts: Mapping[str, Any]) -> Message:
    """The text with just those facts that it names; a fact that is missing or of a wrong type must not break a page."""
    wanted = {key: value for key, value in facts.items() if f"%({key})" in text}
    message = Message(text, wanted)
    try:
        str(message)
    except (KeyError, TypeError, ValueError):
        return Message(_REASONS["garbled"][0])
    return message


def _short(number: Any) -> str:
    return f"{number:.2g}" if isinstance(number, int | float) else "?"


def _where(parity: Mapping[str, Any]) -> str:
    """The output that is furthest off, or that is not there at all."""
    return str(parity.get("where") or parity.get("missing") or "?")[:80]


def _say_load(facts: Mapping[str, Any]) -> Message:
    return _message(gettext_noop("%(kind)s, opened by version %(version)s of its library"), facts)


def _say_signature(facts: Mapping[str, Any]) -> Message:
    shown = {side: "; ".join(map(_tensor, facts.get(side, [])[:6])) for side in ("inputs", "outputs")}
    return Message(gettext_noop("%(inputs)s → %(outputs)s"), shown)


def _tensor(tensor: Mapping[str, Any]) -> str:
    return f"{tensor.get('name')} {tensor.get('datatype')} {tensor.get('shape')}"[:120]


def _say_predict(facts: Mapping[str, Any]) -> Message:
    if facts.get("is_own"):
        return Message(gettext_noop("It answered your example"))
    return Message(gettext_noop("It answered a made-up example"))


def _say_convert(facts: Mapping[str, Any]) -> Message:
    parity = facts.get("parity")
    if not isinstance(parity, dict):
        return _message(gettext_noop("Served in its own format, %(served)s"), facts)
    shown = {
        "served": facts.get("served"),
        "samples": parity.get("samples"),
    }
    if not parity.get("max_abs_diff"):
        return Message(gettext_noop("Served as %(served)s: %(samples)s samples, answered exactly the same"), shown)
    shown |= {"worst": _short(parity["max_abs_diff"]), "where": _where(parity)}
    words = gettext_noop("Served as %(served)s: %(samples)s samples, at most %(worst)s apart, in %(where)s")
    return Message(words, shown)


def _say_profile(facts: Mapping[str, Any]) -> Message:
    latency = facts.get("latency_ms", {})
    shown = {
        "p50": _short(latency.get("p50")),
        "p99": _short(latency.get("p99")),
        "megabytes": round(facts.get("memory_bytes", 0) / 1e6),
    }
    return Message(gettext_noop("%(p50)s ms a call (99 of 100 under %(p99)s ms), %(megabytes)d MB of memory"), shown)


_SUMMARIES: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "load": _say_load,
    "signature": _say_signature,
    "predict": _say_predict,
    "convert": _say_convert,
    "profile": _say_profile,
}


def size_in_words(size: int) -> str:
    """A number of bytes as pages write it, in steps of 1,024: 75 B, 13.3 KB, 4.7 MB, 1.2 GB."""
    for unit, step in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} B"
