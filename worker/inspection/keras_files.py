"""Reads Keras files without Keras: the archive's members and its description; HDF5 is looked into in the sandbox only.

What HDF5 can hold besides numbers (links to other files, data stored elsewhere, sizes that are not there) is looked for
by h5py inside the sandbox, where there are no other files, before Keras sees it: see ``probes/hdf5_files``.
"""

import json
from typing import NamedTuple

from worker.inspection import archives, keras_config
from worker.inspection.protobuf import Buffer
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

MEMBERS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_NOTES_BYTES = 64 << 10
HDF5 = b"\x89HDF\r\n\x1a\n"


class Contents(NamedTuple):
    """What a ``.keras`` file is made of, and the version of Keras that wrote it."""

    classes: set[str]
    version: str


def read_archive(data: Buffer) -> Contents:
    """What a ``.keras`` file names; refuses classes off the list, and members that it should not have."""
    entries = {entry.name: entry for entry in archives.read_zip(data)}
    others = sorted(set(entries) - MEMBERS)
    if others:
        raise _foreign_member(others[0])
    if not {"config.json", "model.weights.h5"} <= set(entries):
        raise _broken()
    weights = entries["model.weights.h5"]
    if weights.deflated or data[weights.start : weights.start + len(HDF5)] != HDF5:
        raise _broken()
    classes = judged(archives.read(data, entries["config.json"], keras_config.LARGEST))
    return Contents(classes, _version(data, entries.get("metadata.json")))


def _version(data: Buffer, entry: archives.Entry | None) -> str:
    """What the notes of the file say; nothing where they cannot be read."""
    try:
        notes = json.loads(archives.read(data, entry, _NOTES_BYTES)) if entry else None
    except (Refusal, ValueError, RecursionError):
        return ""
    return str(notes.get("keras_version") or "") if isinstance(notes, dict) else ""


def judged(config: bytes) -> set[str]:
    """The classes in a description; refuses those off the list."""
    try:
        return keras_config.check(config)
    except keras_config.Unlisted as error:
        raise unlisted(error.name) from error
    except keras_config.Unreadable as error:
        raise _broken() from error


def unlisted(name: str) -> Refusal:
    return Refusal(
        Message(
            gettext_noop("The model is made of %(name)s, which is not on the list of layers that compute only."),
            {"name": name},
        ),
        Message(
            gettext_noop(
                "Use Keras' own layers, without Lambda, vocabularies and classes of your own, or export the model with"
                " model.export('model.onnx', format='onnx')."
            )
        ),
        {"name": name},
    )


def _foreign_member(name: str) -> Refusal:
    return Refusal(
        Message(gettext_noop("The Keras file holds %(name)s, which is not used here."), {"name": name[:200]}),
        Message(
            gettext_noop("Save a model that needs no files beside its weights, or export it to ONNX with model.export.")
        ),
        {"name": name[:200]},
    )


def _broken() -> Refusal:
    return Refusal(
        Message(gettext_noop("The Keras file is not as Keras 3 writes it: it is damaged or made by hand.")),
        Message(gettext_noop("Save the model again with model.save('model.keras') and upload the whole file.")),
    )
