"""Decides whether a file may be opened at all, before anything opens it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.inspection import allowlist, booster_files, exceptional, networks, onnx_files, pickles, skops_files
from worker.inspection.intake import Intake, view
from worker.inspection.pickle_values import Broken, Forbidden
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop


@dataclass(frozen=True)
class Safety:
    """Why the file may be opened, and how."""

    summary: Message
    tier: int  # 0: cannot run code; 1: a pickle, opened once, in the sandbox; 2: one that people made an exception for
    loader: str  # the probe's word for how to open it
    versions: tuple[str, ...] = ()  # of the library that wrote it, as the file carries them
    details: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""  # of libraries that are not ours; then it is opened nowhere but in the sandbox
    granted: tuple[str, ...] = ()  # names beyond the list that an exception covers


def judge(intake: Intake, excepted: Collection[str] = ()) -> Safety:
    """Refuses what could run code, read files or would need operators of its own.

    ``excepted`` are the names of a granted exception: a pickle that needs them is of tier 2.
    """
    kind = intake.model.kind
    if kind == "pickle":
        return _judge_pickle(intake, excepted)
    if kind == "skops":
        return _judge_skops(intake)
    if kind == "onnx":
        onnx_files.refuse_unsafe(intake.outline)
        text = gettext_noop("%(nodes)d operators, all standard; no data outside the file")
        opsets = {domain or "ai.onnx": version for domain, version in intake.outline.opsets.items()}
        return Safety(Message(text, {"nodes": intake.outline.nodes}), 0, "onnx", details={"opsets": opsets})
    if kind in networks.KINDS:
        network = networks.KINDS[kind]
        found = network.read(intake.model)
        written_by = (found.version,) if found.version else ()
        return Safety(found.summary, 0, kind, written_by, found.details, network.environment)
    text = gettext_noop("The format holds numbers only; it cannot run code")
    if kind == "lightgbm":  # its text names no version but that of the format
        return Safety(Message(text), 0, "lightgbm")
    with view(intake.model.path) as data:
        booster_files.refuse_odd(data, kind)
        return Safety(Message(text), 0, "xgboost", booster_files.versions(data, kind))


def _judge_pickle(intake: Intake, excepted: Collection[str]) -> Safety:
    with view(intake.model.path) as data:
        try:
            found = pickles.walk(data, exceptional.widen(excepted))
        except Forbidden as error:
            raise _forbidden(error.name, exceptional.names_beyond(data)) from error
        except Broken as error:
            raise _broken(str(error)) from error
    if ":" not in found.root:
        raise Refusal(
            Message(gettext_noop("The file holds a %(kind)s, not a model."), {"kind": found.root}),
            Message(gettext_noop("Save the fitted model or pipeline itself, not a collection that contains it.")),
        )
    text = gettext_noop(
        "%(names)d names, all on the list of known parts; %(instructions)d instructions, none of them run"
    )
    details: dict[str, Any] = {"names": sorted(found.names), "raw_arrays": found.raw_arrays, "root": found.root}
    summary = Message(text, {"names": len(found.names), "instructions": found.instructions})
    granted = sorted(found.names.keys() & set(excepted))
    if granted:
        text = gettext_noop("%(names)d names, of them %(granted)d by the exception that was granted for this file")
        summary = Message(text, {"names": len(found.names), "granted": len(granted)})
        details["granted"] = granted
    loader = "joblib" if found.raw_arrays else "pickle"
    return Safety(summary, 2 if granted else 1, loader, tuple(sorted(found.versions)), details, granted=tuple(granted))


def _judge_skops(intake: Intake) -> Safety:
    with view(intake.model.path) as data:
        found = skops_files.read(data)
    unknown = skops_files.forbidden(found.names, allowlist.load())
    if unknown:
        raise _forbidden(unknown[0])
    text = gettext_noop("%(names)d types, all on the list of known parts")
    shown, details = {"names": len(found.names)}, {"names": sorted(found.names)}
    return Safety(Message(text, shown), 0, "skops", tuple(sorted(found.versions)), details)


_HARMLESS_BUT_FOREIGN: tuple[tuple[str, str], ...] = (
    (
        "__main__:",
        gettext_noop(
            "It uses something from your own script. Replace it by a part of scikit-learn, or export it to ONNX."
        ),
    ),
    ("xgboost.", gettext_noop("Save the booster in XGBoost's own format: model.save_model('model.json').")),
    ("lightgbm.", gettext_noop("Save the booster in LightGBM's own format: model.booster_.save_model('model.txt').")),
    ("catboost.", gettext_noop("Save it with model.save_model('model.onnx', format='onnx').")),
    ("torch", gettext_noop("Export the network with torch.onnx.export and upload the ONNX file.")),
    ("keras", gettext_noop("Export the network to ONNX and upload that file.")),
    ("tensorflow", gettext_noop("Export the network to ONNX and upload that file.")),
    ("pandas.", gettext_noop("The model keeps a table of pandas. Fit it on plain arrays, or export it to ONNX.")),
    (
        "scipy.stats",
        gettext_noop("Save the best model of the search (search.best_estimator_) instead of the search itself."),
    ),
    ("sklearn.", gettext_noop("Export the model to ONNX with skl2onnx, or leave this part out.")),
    ("numpy", gettext_noop("Replace this function by a part of scikit-learn, or export the model to ONNX.")),
    (
        "functools:",
        gettext_noop("Replace functions in the model by parts of scikit-learn; encode categories before boosting."),
    ),
)
_UNKNOWN = gettext_noop(
    "Ordinary models do not need this. Find out where the file comes from; if it is yours, export the model to ONNX."
)


def _forbidden(name: str, beyond: tuple[str, ...] = ()) -> Refusal:
    """Refused because of one name; what to do depends on where the name comes from.

    ``beyond`` are all the names that an exception would have to cover, where one can be asked for.
    """
    advice = next((text for start, text in _HARMLESS_BUT_FOREIGN if name.startswith(start)), _UNKNOWN)
    module, _, attribute = name.partition(":")
    shown = f"{module}.{attribute}"[:200]
    return Refusal(
        Message(
            gettext_noop("Opening the file would use %(name)s, which is not on the list of known parts."),
            {"name": shown},
        ),
        Message(advice),
        {"name": shown, "exception": list(beyond)} if beyond else {"name": shown},
    )


def _broken(detail: str) -> Refusal:
    if detail.endswith("ends in the middle"):
        reason = gettext_noop("The pickle ends in the middle.")
    else:
        reason = gettext_noop(
            "The pickle is written in a way that no current version of Python writes: it is damaged or made by hand."
        )
    advice = gettext_noop(
        "Save the model again with joblib.dump, or better with skops.io.dump, and upload the whole file."
    )
    return Refusal(Message(reason), Message(advice), {"detail": detail})
