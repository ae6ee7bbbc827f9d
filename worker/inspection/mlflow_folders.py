"""Takes the inner model out of a folder that MLflow wrote.

Only flavours whose file is a format of its own are taken: ``onnx sklearn xgboost lightgbm``. What the folder says of
loaders, code, packages and environments is evidence for people; none of it is used. The signature and the input
example are read: they name inputs, and ask the first question.

Source: ``MLmodel`` as written by mlflow 1 to 3 (``mlflow/models/model.py``, ``mlflow/<flavour>/__init__.py``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.inspection import mlflow_signatures, yaml_files
from worker.inspection.candidates import Candidate
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

# The entry that names the model's file, by flavour.
NATIVE = {"onnx": "data", "sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data"}
# The entry that says which version of its library wrote it.
_VERSIONS = {"sklearn": "sklearn_version", "xgboost": "xgb_version", "lightgbm": "lgb_version"}

_NOTE_BYTES = 64 << 10
_NOTES = ("requirements.txt", "conda.yaml", "python_env.yaml")
_FACTS = ("run_id", "model_id", "mlflow_version", "utc_time_created")
_PART = re.compile(r"[A-Za-z0-9._-]{1,128}")

_LOG_NATIVE = gettext_noop(
    "Log the trained model itself with one of the flavours onnx, sklearn, xgboost or lightgbm, and upload that folder."
)


@dataclass(frozen=True)
class Folder:
    """What an MLflow folder holds for us."""

    model: Candidate
    columns: tuple[str, ...] = ()  # the names of the inputs, where the signature has them
    example: Mapping[str, Any] | None = None  # an inference request made of the input example
    facts: Mapping[str, Any] = field(default_factory=dict)  # for people: plain JSON
    version: str = ""  # of the library that wrote the model


def open_folder(mlmodel: Candidate, candidates: Sequence[Candidate]) -> Folder:
    """The folder around an ``MLmodel`` file; refuses every flavour that would need code to be run."""
    data = _read(mlmodel)
    flavours = data["flavors"]
    flavour = _native(flavours)
    _refuse_code(flavours)
    _refuse_foreign_loader(flavours, flavour)
    files = {c.name.removeprefix(mlmodel.folder): c for c in candidates if c.name.startswith(mlmodel.folder)}
    name = flavours[flavour].get(NATIVE[flavour]) or flavours[flavour].get("data")
    signature = mlflow_signatures.read(data.get("signature"))
    return Folder(
        _inner(name, flavour, files),
        signature.columns,
        _example(data, files, signature),
        _facts(data, flavour, flavours, files) | {"signature": signature.shown},
        str(flavours[flavour].get(_VERSIONS.get(flavour)) or ""),
    )


def _read(mlmodel: Candidate) -> dict[str, Any]:
    try:
        data = yaml_files.read(mlmodel.path.read_bytes() if mlmodel.size <= yaml_files.LARGEST else b"\xff")
    except yaml_files.Unreadable as error:
        raise _broken(str(error)) from error
    flavours = data.get("flavors") if isinstance(data, dict) else None
    if not isinstance(flavours, dict) or not all(isinstance(entry, dict) for entry in flavours.values()):
        raise _broken("it names no flavours")
    return data


def _native(flavours: Mapping[str, Any]) -> str:
    found = [flavour for flavour in flavours if flavour in NATIVE]
    if len(found) == 1:
        return str(found[0])
    others = ", ".join(sorted(str(flavour) for flavour in flavours if flavour != "python_function"))[:200]
    if others:
        words = gettext_noop(
            "This MLflow model is of the flavour %(flavour)s, which cannot be taken out of its folder."
        )
        raise Refusal(Message(words, {"flavour": others}), Message(_LOG_NATIVE), {"flavour": others})
    loader = str(_loader(flavours) or "?")[:100]
    words = gettext_noop("This MLflow model has Python code only: it would be loaded by %(loader)s, which runs it.")
    raise Refusal(Message(words, {"loader": loader}), Message(_LOG_NATIVE), {"loader_module": loader})


def _loader(flavours: Mapping[str, Any]) -> Any:
    return flavours.get("python_function", {}).get("loader_module")


def _refuse_code(flavours: Mapping[str, Any]) -> None:
    code = next((entry["code"] for entry in flavours.values() if entry.get("code")), None)
    if code:
        words = gettext_noop("This MLflow model needs Python code of its own, from its folder %(name)s.")
        advice = gettext_noop(
            "Log it again without code_paths, with parts of its library alone, or export the model to ONNX."
        )
        raise Refusal(Message(words, {"name": str(code)[:100]}), Message(advice), {"code": str(code)[:100]})


def _refuse_foreign_loader(flavours: Mapping[str, Any], flavour: str) -> None:
    loader = _loader(flavours)
    if loader not in (None, f"mlflow.{flavour}"):
        words = gettext_noop(
            "This MLflow model would be loaded by %(loader)s, not by MLflow's own part for %(flavour)s."
        )
        shown = {"loader": str(loader)[:100], "flavour": flavour}
        raise Refusal(Message(words, shown), Message(_LOG_NATIVE), {"loader_module": shown["loader"]})


def _inner(name: Any, flavour: str, files: Mapping[str, Candidate]) -> Candidate:
    parts = name.split("/") if isinstance(name, str) else []
    if not parts or not all(_PART.fullmatch(part) and part.strip(".") for part in parts):
        raise _broken("its model file has no plain name")
    if name in files:
        return files[name]
    raise Refusal(
        Message(
            gettext_noop("The MLflow folder has no file %(name)s, which its MLmodel names as the %(flavour)s model."),
            {"name": name[:200], "flavour": flavour},
        ),
        Message(gettext_noop("Upload the whole folder that MLflow wrote, as files or as a zip.")),
    )


def _example(
    data: Mapping[str, Any], files: Mapping[str, Candidate], signature: mlflow_signatures.Signature
) -> Mapping[str, Any] | None:
    """The input example; one that cannot be read is left out, since a model is whole without."""
    info = data.get("saved_input_example_info")
    info = info if isinstance(info, dict) else {}
    for name in (info.get("serving_input_path"), "serving_input_example.json", info.get("artifact_path")):
        found = files.get(name) if isinstance(name, str) else None
        if found and found.size <= mlflow_signatures.EXAMPLE_BYTES:
            request = mlflow_signatures.request_of(found.path.read_bytes(), signature)
            if request:
                return request
    return None


def _facts(
    data: Mapping[str, Any], flavour: str, flavours: Mapping[str, Any], files: Mapping[str, Candidate]
) -> dict[str, Any]:
    """What the folder says, for people to read; nothing of it is used."""
    facts: dict[str, Any] = {key: str(data[key])[:200] for key in _FACTS if data.get(key)}
    settings = flavours[flavour]
    facts |= {key: str(value)[:200] for key, value in settings.items() if key.endswith("_version")}
    facts |= {"flavour": flavour, "loader_module": str(_loader(flavours) or "")[:100]}
    for name in _NOTES:
        note = files.get(name)
        if note and note.size <= _NOTE_BYTES:
            facts[name] = note.path.read_bytes().decode("utf-8", "replace")[:4000]
    code = sorted(name for name in files if name.startswith("code/"))
    return facts | ({"code": code[:100]} if code else {})


def _broken(detail: str) -> Refusal:
    return Refusal(
        Message(gettext_noop("The MLmodel file of this MLflow folder cannot be used.")),
        Message(gettext_noop("Save the model again with a current version of MLflow and upload the whole folder.")),
        {"detail": detail},
    )
