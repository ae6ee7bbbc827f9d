"""The file that will be served: the upload, or what the sandbox left behind and is looked at again."""

import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inspection import allowlist, exceptional, onnx_files, pickles, skops_files
from worker.inspection.intake import Intake, view
from worker.inspection.probing import Garbled
from worker.inspection.refusals import Refusal
from worker.specs import Message, Signature, gettext_noop, signature_from_json

_NAMES = {
    "onnx": "model.onnx",
    "skops": "model.skops",
    "xgboost_json": "model.json",
    "xgboost_ubj": "model.ubj",
    "lightgbm": "model.txt",
    "pickle": "model.pickle",
}
_DATATYPES = frozenset(
    ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What the builder packs and the runtime opens."""

    path: Path
    format: str  # onnx skops xgboost lightgbm; pickle by an exception only
    name: str
    trusted: tuple[str, ...] = ()


def choose(found: Intake, converted: Mapping[str, Any], folder: Path, granted: Collection[str] = ()) -> Served:
    """The file to serve, by what the conversion reported; refuses a result that is not a plain, safe file.

    Only where an exception was ``granted`` a pickle is served as it came, with exactly the names that it uses.
    """
    form, file = converted.get("served"), converted.get("file")
    if file and form in ("onnx", "skops") and file == _NAMES[form]:
        path = folder / file
        _require_plain(path)
    else:
        path, form = found.model.path, intake_format(found)
    if form == "pickle":
        return Served(path, form, _NAMES[form], _names_in(path, granted))
    trusted = _require_safe(path, form, converted.get("trusted") or ())
    kind = found.model.kind if form == "xgboost" else form
    return Served(path, form, _NAMES[kind], trusted)


def _names_in(path: Path, granted: Collection[str]) -> tuple[str, ...]:
    if not granted:
        raise Garbled("a pickle is not served")
    with view(path) as data:
        return tuple(sorted(pickles.walk(data, exceptional.widen(granted)).names))


def intake_format(found: Intake) -> str:
    return found.model.kind.partition("_")[0]


def _require_plain(path: Path) -> None:
    """The sandbox could have left a link to somebody else's file under the name."""
    try:
        found = path.lstat()
    except OSError as error:
        raise Garbled("no file") from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise Garbled("not a plain file")


def _require_safe(path: Path, form: str, wished: Any) -> tuple[str, ...]:
    """The same look that an upload gets; gives the types that skops may load, all of them from our list."""
    with view(path) as data:
        if form == "onnx":
            try:
                onnx_files.refuse_unsafe(onnx_files.outline(data))
            except (onnx_files.Truncated, onnx_files.NotProtobuf) as error:
                raise Garbled("not ONNX") from error
        if form != "skops":
            return ()
        names = skops_files.read(data).names
        if skops_files.forbidden(names, allowlist.load()):
            raise Refusal(
                Message(gettext_noop("The converted file holds types that are not on the list of known parts."))
            )
    listed = {name.replace(":", ".") for name in allowlist.load()}
    return tuple(sorted(listed & {name for name in wished if isinstance(name, str)}))


def signature(facts: Any) -> Signature:
    """The signature that a probe reported, if it is one."""
    try:
        found = signature_from_json(facts)
    except (KeyError, TypeError) as error:
        raise Garbled("no signature") from error
    for tensor in (*found.inputs, *found.outputs):
        if (
            not isinstance(tensor.name, str)
            or tensor.datatype not in _DATATYPES
            or not all(isinstance(n, int) for n in tensor.shape)
            or not all(isinstance(name, str) for name in tensor.columns)
            or (tensor.columns and tensor.shape[-1:] != (len(tensor.columns),))
        ):
            raise Garbled("no signature")
    if not found.inputs or not found.outputs:
        raise Garbled("no signature")
    return found
