"""Formats of libraries that are not part of this system: read here without them, opened once in a sandbox, converted.

Each needs an examination environment with its library (see ``environments``). What passes is converted to ONNX in the
sandbox, compared, and served as that; the upload itself is never opened again.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from worker.inspection import foreign, keras_files, tensorflow_files, torch_files
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
    details: Mapping[str, object]
    version: str = ""  # of the library that wrote it


def _read_torch(candidate: Candidate) -> Reading:
    reader = torch_files.read_script if candidate.kind == "torchscript" else torch_files.read_export
    with view(candidate.path) as data:
        found = reader(data)
    words = gettext_noop("%(members)d members, %(operators)d operators and %(names)d names, all on the lists")
    shown = {"members": found.members, "operators": len(found.operators), "names": len(found.names)}
    details = {"operators": sorted(found.operators), "names": sorted(found.names)}
    return Reading(Message(words, shown), details, found.version)


def _read_saved_model(candidate: Candidate) -> Reading:
    with view(candidate.path) as data:
        found = tensorflow_files.read(data)
    words = gettext_noop("%(nodes)d nodes, %(operators)d kinds of operators, all on the list")
    shown = {"nodes": found.nodes, "operators": len(found.operators)}
    details = {"operators": sorted(found.operators), "written_by": found.version}
    return Reading(Message(words, shown), details, found.version)


def _read_keras(candidate: Candidate) -> Reading:
    with view(candidate.path) as data:
        found = keras_files.read_archive(data)
    words = gettext_noop("%(names)d classes, all on the list of layers; the weights are looked through in the sandbox")
    return Reading(Message(words, {"names": len(found.classes)}), {"names": sorted(found.classes)}, found.version)


def _read_hdf5(candidate: Candidate) -> Reading:
    """HDF5 is not read here: only whether it can be one of Keras."""
    with view(candidate.path) as data:
        if data.find(b"model_config") < 0:
            raise foreign.refuse("hdf5")
    return Reading(Message(gettext_noop("HDF5 with a model of Keras; looked through in the sandbox before Keras")), {})


KINDS = {
    "tensorflow": Network("tensorflow", _read_saved_model),
    "keras": Network("torch", _read_keras),
    "hdf5": Network("torch", _read_hdf5),
    "torchscript": Network("torch", _read_torch),
    "torch_export": Network("torch", _read_torch),
}
