"""Formats of libraries that are not part of this system: read here without them, opened once in a sandbox, converted.

Each needs an examination environment with its library (see ``environments``). What passes is converted to ONNX in the
sandbox, compared, and served as that; the upload itself is never opened again.
"""

from collections.abc import Callable
from typing import NamedTuple

from worker.inspection import torch_files
from worker.inspection.candidates import view
from worker.inspection.intake import Candidate
from worker.specs import Message, gettext_noop


class Network(NamedTuple):
    """How one format is read here, and the environment in which it is opened."""

    environment: str
    read: Callable[[Candidate], "Reading"]


class Reading(NamedTuple):
    """What was found in a file that may be opened."""

    summary: Message
    details: dict[str, object]


def _read_torch(candidate: Candidate) -> Reading:
    reader = torch_files.read_script if candidate.kind == "torchscript" else torch_files.read_export
    with view(candidate.path) as data:
        found = reader(data)
    words = gettext_noop("%(members)d members, %(operators)d operators and %(names)d names, all on the lists")
    shown = {"members": found.members, "operators": len(found.operators), "names": len(found.names)}
    return Reading(Message(words, shown), {"operators": sorted(found.operators), "names": sorted(found.names)})


KINDS = {
    "torchscript": Network("torch", _read_torch),
    "torch_export": Network("torch", _read_torch),
}
