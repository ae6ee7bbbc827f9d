"""Finds the one model among the uploaded files: what it is, where its plain bytes lie, and what came with it."""

import json
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from worker.inspection import archives, foreign, formats, layers, onnx_files
from worker.inspection.refusals import Refusal
from worker.specs import Message, SourceFile, gettext_noop

LABELS = frozenset({"labels.txt", "labels.json"})
LABELS_BYTES = 1 << 20
LABELS_COUNT = 100_000
UNPACKED = 4 << 30  # bytes an archive or a compressed file may become


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
}


@dataclass(frozen=True)
class Candidate:
    """One file that may be the model."""

    path: Path
    name: str
    size: int
    kind: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """The model and its companions."""

    model: Candidate
    labels: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # names of files that came along
    archive: str = ""
    outline: onnx_files.Outline = field(default_factory=onnx_files.Outline)


@contextmanager
def view(path: Path) -> Iterator[Any]:
    """The bytes of a file without reading it: a memory map, or empty bytes."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def take_in(files: Sequence[SourceFile], scratch: Path) -> Intake:
    """The one model in an upload; refuses none, several, and every format that is not accepted."""
    candidates = [_look(file.path, file.name, file.size) for file in files]
    packed = [candidate for candidate in candidates if _is_archive(candidate)]
    archive = ""
    if len(candidates) - len(_beside(candidates)) == 1 and packed:
        archive = packed[0].name
        unpacked = _unpack(_unwrap(packed[0], scratch), scratch / "unpacked")
        candidates = [candidate for candidate in candidates if candidate is not packed[0]] + unpacked
    model = _unwrap(_only_one(candidates), scratch)
    if model.kind not in ACCEPTED:
        raise foreign.refuse(model.kind)
    others = [candidate for candidate in candidates if candidate.path != model.path and candidate.name != model.name]
    return Intake(model, _labels(others), tuple(sorted(c.name for c in others)), archive, _check_whole(model))


def _look(path: Path, name: str, size: int) -> Candidate:
    with view(path) as data:
        return Candidate(path, name, size, formats.recognise(data))


def _is_archive(candidate: Candidate) -> bool:
    """Whether it is a zip or a tar, also under a layer of compression (by its first unpacked bytes)."""
    if candidate.kind in ("zip", "tar"):
        return True
    if candidate.kind not in layers.KINDS:
        return False
    return layers.first_bytes(candidate.path, candidate.kind, 512)[257:262] == b"ustar"


def _beside(candidates: list[Candidate]) -> list[Candidate]:
    return [
        candidate
        for candidate in candidates
        if candidate.kind in formats.TEXTS or (candidate.kind == "unknown" and _is_note(candidate))
    ]


def _is_note(candidate: Candidate) -> bool:
    return candidate.name.casefold().endswith((".md", ".txt", ".yaml", ".yml", ".json", ".csv"))


def _only_one(candidates: list[Candidate]) -> Candidate:
    beside = _beside(candidates)
    models = [candidate for candidate in candidates if candidate not in beside] or candidates[:1] * (
        len(candidates) == 1
    )
    if len(models) == 1:
        return models[0]
    if not models:
        raise Refusal(
            Message(gettext_noop("None of the %(count)d files is a model."), {"count": len(candidates)}),
            Message(gettext_noop("Add the model file: %(accepted)s."), {"accepted": foreign.ACCEPTED}),
        )
    names = ", ".join(sorted(candidate.name for candidate in models)[:5])
    raise Refusal(
        Message(
            gettext_noop("There are %(count)d files that could be the model: %(names)s."),
            {"count": len(models), "names": names},
        ),
        Message(gettext_noop("Upload one model at a time; a labels file and a README may come with it.")),
    )


def _unwrap(candidate: Candidate, scratch: Path) -> Candidate:
    """Take off layers of compression, at most two."""
    while candidate.kind in layers.KINDS:
        depth = len(candidate.layers)
        if depth == layers.DEPTH:
            raise Refusal(
                Message(gettext_noop("The file is compressed more than twice over.")),
                Message(gettext_noop("Save the model again, compressed once or not at all.")),
            )
        target = scratch / f"plain-{depth}"
        layers.unwrap(candidate.path, candidate.kind, target, UNPACKED)
        inner = _look(target, candidate.name, target.stat().st_size)
        candidate = replace(inner, layers=(*candidate.layers, candidate.kind))
    return candidate


def _unpack(archive: Candidate, folder: Path) -> list[Candidate]:
    with view(archive.path) as data:
        entries = archives.read_zip(data) if archive.kind == "zip" else archives.read_tar(data)
        paths = archives.extract(data, entries, folder, UNPACKED)
    return [_look(path, entry.name, entry.size) for path, entry in zip(paths, entries, strict=True)]


def _labels(others: list[Candidate]) -> tuple[str, ...]:
    """The class names of a labels file: one a line, or a JSON list, or a JSON object from index to name."""
    found = next((c for c in others if c.name.rpartition("/")[2].casefold() in LABELS and c.size <= LABELS_BYTES), None)
    if found is None:
        return ()
    try:
        text = found.path.read_text("utf-8-sig")
        names = _json_labels(json.loads(text)) if found.kind == "json" else [line.strip() for line in text.splitlines()]
    except (ValueError, RecursionError) as error:
        raise _bad_labels(found.name) from error
    while names and not names[-1]:
        names.pop()
    if len(names) > LABELS_COUNT or not all(isinstance(name, str) and len(name) <= 256 for name in names):
        raise _bad_labels(found.name)
    return tuple(names)


def _json_labels(data: Any) -> list[str]:
    if isinstance(data, dict):
        data = [data.get(str(index)) for index in range(len(data))]
    if not isinstance(data, list) or not all(isinstance(name, str | int) for name in data):
        raise ValueError("labels")
    return [str(name) for name in data]


def _bad_labels(name: str) -> Refusal:
    return Refusal(
        Message(gettext_noop("The labels file %(name)s cannot be read."), {"name": name}),
        Message(gettext_noop("Write one class name a line, in UTF-8, or a JSON list of names.")),
    )


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
