"""Finds the one model among the uploaded files: what it is, where its plain bytes lie, and what came with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from worker.inspection import (
    candidates,
    cards,
    foreign,
    formats,
    labels,
    lightgbm_wrappers,
    mlflow_folders,
    onnx_external,
    onnx_files,
    safetensors_files,
    tensorflow_files,
)
from worker.inspection.candidates import Candidate, view
from worker.inspection.refusals import Refusal
from worker.specs import Message, SourceFile, gettext_noop

__all__ = ["ACCEPTED", "Candidate", "Intake", "take_in", "view"]


class Format(NamedTuple):
    """An accepted format: the word for it on the version, the library behind it, and what a page calls it."""

    format: str
    framework: str
    title: str


ACCEPTED = {
    "onnx": Format("onnx", "onnx", "ONNX"),
    "pickle": Format("sklearn", "scikit-learn", "scikit-learn (pickle)"),
    "skops": Format("sklearn", "scikit-learn", "scikit-learn (skops)"),
    "xgboost_json": Format("xgboost", "xgboost", "XGBoost (JSON)"),
    "xgboost_ubj": Format("xgboost", "xgboost", "XGBoost (UBJSON)"),
    "lightgbm": Format("lightgbm", "lightgbm", "LightGBM (text)"),
    "torchscript": Format("torchscript", "pytorch", "TorchScript"),
    "torch_export": Format("torch_export", "pytorch", "torch.export (.pt2)"),
    "tensorflow": Format("savedmodel", "tensorflow", "TensorFlow SavedModel"),
    "keras": Format("keras", "keras", "Keras"),
    "hdf5": Format("keras", "keras", "Keras (HDF5)"),
}


@dataclass(frozen=True)
class Intake:
    """The model and its companions."""

    model: Candidate
    labels: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # names of files that came along
    archive: str = ""
    outline: onnx_files.Outline = field(default_factory=onnx_files.Outline)
    weights: tuple[str, ...] = ()  # files whose bytes were brought into the model
    mlflow: mlflow_folders.Folder | None = None
    card: str = ""  # of a README beside it
    wrapper: str = ""  # the class that the model was taken out of

    @property
    def example(self) -> Mapping[str, Any] | None:
        """A request that came with the model, for where its uploader gives none."""
        return self.mlflow.example if self.mlflow else None

    @property
    def written_by(self) -> str:
        """The version of the library, as the folder around the model tells it."""
        return self.mlflow.version if self.mlflow else ""

    @property
    def readable(self) -> Path:
        """What the sandbox has to see: the file, or the folder where a format is one."""
        return self.model.path.parent if self.model.kind == "tensorflow" else self.model.path

    @property
    def size(self) -> int:
        """Bytes of all that will be opened."""
        parts = self.readable.rglob("*") if self.readable.is_dir() else [self.readable]
        return sum(part.stat().st_size for part in parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the inputs, for a model that has none itself."""
        return self.mlflow.columns if self.mlflow else ()


def take_in(files: Sequence[SourceFile], scratch: Path, limit: int) -> Intake:
    """The one model in an upload; refuses none, several, and every format that is not accepted.

    What is packed may become at most ``limit`` bytes.
    """
    found = [candidates.look(file.path, file.name, file.size) for file in files]
    found, archive = _unpacked(found, scratch, limit)
    folder = _mlflow_folder(found)
    chosen = folder.model if folder else _only_one(found)
    model = candidates.unwrap(chosen, scratch, limit)
    wrapped = lightgbm_wrappers.take_out(model, scratch / "booster.txt") if model.kind == "skops" else None
    model = wrapped.model if wrapped else model
    if model.kind not in ACCEPTED:
        raise foreign.refuse(model.kind)
    outline = _check_whole(model)
    weights: tuple[str, ...] = ()
    if model.kind == "tensorflow":
        model, weights = tensorflow_files.assemble(model, found, scratch / "savedmodel")
    if outline.locations:
        model, weights = _bring_in(model, outline, found, scratch)
        outline = _check_whole(model)
    others = [candidate for candidate in found if candidate is not chosen and candidate.name not in weights]
    beside = tuple(sorted(candidate.name for candidate in others))
    card = cards.read_card(others)
    names = labels.read_labels(others) or (wrapped.classes if wrapped else ())
    wrapper = wrapped.wrapper if wrapped else ""
    return Intake(model, names, beside, archive, outline, weights, folder, card, wrapper)


def _unpacked(found: list[Candidate], scratch: Path, limit: int) -> tuple[list[Candidate], str]:
    """The files with those of the one archive among them, and its name."""
    packed = [candidate for candidate in found if candidates.is_archive(candidate)]
    if not packed or len(found) - len(_beside(found)) != 1:
        return found, ""
    inner = candidates.unpack(candidates.unwrap(packed[0], scratch, limit), scratch / "unpacked", limit)
    return [candidate for candidate in found if candidate is not packed[0]] + inner, packed[0].name


def _mlflow_folder(found: list[Candidate]) -> mlflow_folders.Folder | None:
    folders = [candidate for candidate in found if candidate.kind == "mlmodel"]
    if len(folders) > 1:
        raise _several(folders)
    return mlflow_folders.open_folder(folders[0], found) if folders and len(found) > 1 else None


def _beside(found: list[Candidate]) -> list[Candidate]:
    """Those that are no model: notes, and the files of weights that a model names."""
    weights = _weights_of(found)
    graphs = [candidate for candidate in found if candidate.kind == "tensorflow"]
    return [
        candidate
        for candidate in found
        if candidate.kind in formats.TEXTS
        or (candidate.kind == "unknown" and _is_note(candidate))
        or candidate.name in weights
        or any(tensorflow_files.belongs(graph, candidate) for graph in graphs if graph is not candidate)
    ]


def _is_note(candidate: Candidate) -> bool:
    return candidate.name.casefold().endswith((".md", ".txt", ".yaml", ".yml", ".json", ".csv"))


def _weights_of(found: list[Candidate]) -> set[str]:
    """Names of the files that the ONNX files among these refer to, whatever their bytes look like."""
    names: set[str] = set()
    for candidate in found:
        if candidate.kind == "onnx" and len(found) > 1:
            with view(candidate.path) as data:
                locations = onnx_files.outline(data).locations
            names.update(candidate.folder + onnx_external.check_location(location) for location in locations)
    return names


def _only_one(found: list[Candidate]) -> Candidate:
    beside = _beside(found)
    models = [candidate for candidate in found if candidate not in beside] or found[:1] * (len(found) == 1)
    if models and all(candidate.kind == "safetensors" for candidate in models):
        raise safetensors_files.refuse(found, models[0])
    if len(models) == 1:
        return models[0]
    if models:
        raise _several(models)
    raise Refusal(
        Message(gettext_noop("None of the %(count)d files is a model."), {"count": len(found)}),
        Message(gettext_noop("Add the model file: %(accepted)s."), {"accepted": foreign.ACCEPTED}),
    )


def _several(models: list[Candidate]) -> Refusal:
    names = ", ".join(sorted(candidate.name for candidate in models)[:5])
    return Refusal(
        Message(
            gettext_noop("There are %(count)d files that could be the model: %(names)s."),
            {"count": len(models), "names": names},
        ),
        Message(gettext_noop("Upload one model at a time; a labels file and a README may come with it.")),
    )


def _bring_in(
    model: Candidate, outline: onnx_files.Outline, found: list[Candidate], scratch: Path
) -> tuple[Candidate, tuple[str, ...]]:
    """The model as one file with its weights inside, and the names of the files that they came from."""
    blobs = {
        candidate.name.removeprefix(model.folder): onnx_external.Blob(candidate.path, candidate.size)
        for candidate in found
        if candidate.name.startswith(model.folder)
    }
    target = scratch / "whole.onnx"
    with view(model.path) as data:
        size = onnx_external.inline(data, blobs, target)
    names = tuple(sorted(model.folder + location for location in outline.locations))
    return replace(model, path=target, size=size), names


def _check_whole(model: Candidate) -> onnx_files.Outline:
    """What can be seen of a truncated file without opening it; for ONNX, its outline."""
    with view(model.path) as data:
        if model.kind == "onnx":
            return onnx_files.outline(data)
        tail = bytes(data[-(1 << 16) :])
        ends_well = {
            "xgboost_json": lambda: tail.rstrip().endswith(b"}"),
            "xgboost_ubj": lambda: tail.endswith(b"}"),
            "lightgbm": lambda: data.find(b"end of trees") >= 0,
        }.get(model.kind)
        if ends_well and not ends_well():
            raise Refusal(
                Message(
                    gettext_noop("This file, %(format)s, ends in the middle."), {"format": ACCEPTED[model.kind].title}
                ),
                Message(gettext_noop("Save the model again and upload the whole file.")),
            )
    return onnx_files.Outline()


def facts(found: Intake) -> Mapping[str, Any]:
    """What was found, as plain JSON for the page."""
    return {
        "kind": found.model.kind,
        "bytes": found.model.size,
        "name": found.model.name,
        "layers": list(found.model.layers),
        "archive": found.archive,
        "beside": list(found.beside),
        "labels": len(found.labels),
        **({"weights": list(found.weights)} if found.weights else {}),
        **({"wrapper": found.wrapper} if found.wrapper else {}),
        **({"mlflow": dict(found.mlflow.facts)} if found.mlflow else {}),
    }
