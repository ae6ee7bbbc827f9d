"""What a corpus is made of: files, and the verdict that they must get."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Content = bytes | Callable[[], bytes]  # what is large is made when it is needed

# Fragments of the sentences that refuse, so that a file cannot be refused for a reason that is not its own.
NAME = "not on the list of known parts"
CRAFTED = "damaged or made by hand"
CUT = "ends in the middle"
UNREADABLE = "The archive cannot be read"
NOT_PLAIN = "which is not a plain name"
PACKED = "The compressed file cannot be unpacked"
TOO_TIGHT = "packed too tightly"


@dataclass(frozen=True)
class Case:
    """An upload that must be refused: by which check, and with which words."""

    label: str
    kind: str  # of attack or damage; several cases may be of one
    files: Mapping[str, Content]
    check: str  # content, safety
    reason: str  # a fragment of the English sentence


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return buffer.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made
