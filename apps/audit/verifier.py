"""Proof that a log is whole: numbers without gaps, every hash right, the end where it should be, and signed heads kept.

This file needs nothing but Python and ``cryptography``, so an export can be checked where Slipway is not::

    python3 verifier.py audit.jsonl --key slipway-…/audit+…+… --checkpoints folder

The chain: every field of an entry is written as ``<length>:<bytes>`` (UTF-8, NFC) in a fixed order, so no two different
entries share an encoding; time is integer microseconds since the epoch. hash = SHA-256(0x00 ‖ previous ‖ encoding).
An entry of somebody else's project stands in an export as a *link*, ``{"seq", "previous", "hash"}`` alone: its place in
the chain is proven, its content stays private.

A *checkpoint* is the log's head at one moment as a signed note (c2sp.org/signed-note and tlog-checkpoint, Ed25519):
origin, number of entries, hash of the last one, time. Kept elsewhere, it is what shows that a log was cut off or
written anew. An export ends with a note of the same form about the export itself: its *manifest*.
"""

import argparse
import base64
import hashlib
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELDS = (
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "ip",
    "request_id",
    "action",
    "object_type",
    "object_id",
    "object_label",
    "project_id",
    "before",
    "after",
    "reason",
)
EXPORTED = (*FIELDS, "previous", "hash")
GENESIS = "0" * 64
ED25519 = b"\x01"  # a signed note's name for the algorithm
EXPORT = "/export"  # what the origin of a manifest ends with, so that it is never taken for a checkpoint

Problem = dict[str, Any]  # {"text": English with %(named)s parts, "params": {…}}, to be said in the reader's language
Head = tuple[int, str]  # number and hash of an entry


class BadNote(ValueError):
    """A note that none of the log's keys has signed as it stands, or that is none."""


@dataclass(frozen=True)
class Verdict:
    """How far the chain holds: ``seq`` and ``hash`` are of the last good entry, ``problem`` is what comes after it."""

    seq: int
    hash: str
    problem: Problem | None = None

    @property
    def is_whole(self) -> bool:
        return self.problem is None


class Key(NamedTuple):
    """A public key of a log; ``id`` is only a hint to which of several keys has signed."""

    name: str
    id: bytes
    public: Ed25519PublicKey


class Checkpoint(NamedTuple):
    """The log's head at one moment, as it was signed."""

    seq: int
    hash: str
    at: str

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


# The chain


def entry_hash(previous: str, fields: Mapping[str, Any]) -> str:
    """The hex hash of an entry with these ``FIELDS`` after the entry with hash ``previous``."""
    return hashlib.sha256(b"\x00" + bytes.fromhex(previous) + encode(fields)).hexdigest()


def encode(fields: Mapping[str, Any]) -> bytes:
    parts = [_text(fields[name]).encode() for name in FIELDS]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return str(round(value.timestamp() * 1_000_000))
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else unicodedata.normalize("NFC", text)  # what is ASCII is NFC already


def verify(
    entries: Iterable[Mapping[str, Any]],
    *,
    head: Head | None = None,
    anchors: Mapping[int, str] | None = None,
    start: Head = (0, GENESIS),
) -> Verdict:
    """Follow ``entries`` in order from the one after ``start``, and name the first that is wrong.

    ``head`` is the number and hash that the log says it ends with; ``anchors`` are hashes by number, kept elsewhere.
    """
    anchors = anchors or {}
    seq, last = start
    for entry in entries:
        problem = _fault(entry, seq + 1, last, anchors)
        if problem:
            return Verdict(seq, last, problem)
        seq, last = entry["seq"], entry["hash"]
    return Verdict(seq, last, _fault_at_end(seq, last, head, anchors))


def _fault(entry: Mapping[str, Any], expected: int, previous: str, anchors: Mapping[int, str]) -> Problem | None:
    if entry["seq"] != expected:
        text = gettext_noop("Entry %(seq)d is missing: entry %(found)d stands in its place.")
        return _problem(text, seq=expected, found=entry["seq"])
    if entry["previous"] != previous:
        return _problem(gettext_noop("Entry %(seq)d does not follow the one before it."), seq=expected)
    if "action" in entry and entry_hash(previous, entry) != entry["hash"]:
        return _problem(gettext_noop("Entry %(seq)d was changed: its content does not give its hash."), seq=expected)
    if anchors.get(expected, entry["hash"]) != entry["hash"]:
        text = gettext_noop("Entry %(seq)d is not the one that was seen earlier: the log was written anew.")
        return _problem(text, seq=expected)
    return None


def _fault_at_end(seq: int, last: str, head: Head | None, anchors: Mapping[int, str]) -> Problem | None:
    beyond = max([number for number in anchors if number > seq], default=0)
    if beyond:
        text = gettext_noop("The log ends with entry %(seq)d, but entry %(found)d was seen earlier: it was cut off.")
        return _problem(text, seq=seq, found=beyond)
    if head is None or head == (seq, last):
        return None
    if head[0] == seq:
        text = gettext_noop("The log ends with entry %(seq)d, but not with the hash that its head states.")
        return _problem(text, seq=seq)
    text = gettext_noop("The log ends with entry %(seq)d, but its head states %(found)d.")
    return _problem(text, seq=seq, found=head[0])


def _problem(text: str, **params: int) -> Problem:
    return {"text": text, "params": params}


def gettext_noop(text: str) -> str:
    """Mark a sentence for translation; this file must run without Django."""
    return text


# Signed notes


def key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def read_key(text: str) -> Key:
    """A key as ``<name>+<id>+<base64>``; ValueError for anything else."""
    name, hint, encoded = text.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if raw[:1] != ED25519 or key_id(name, raw[1:]).hex() != hint:
        raise ValueError(f"not the key of a log: {text}")
    return Key(name, bytes.fromhex(hint), Ed25519PublicKey.from_public_bytes(raw[1:]))


def open_note(note: str, keys: Sequence[Key]) -> list[str]:
    """The lines of a note that one of the keys has signed; BadNote for anything else."""
    text, _gap, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        if any(_is_signed(text + "\n", line, key) for key in keys):
            return text.split("\n")
    raise BadNote(note)


def _is_signed(text: str, line: str, key: Key) -> bool:
    begin = f"— {key.name} "
    try:
        raw = base64.b64decode(line.removeprefix(begin), validate=True)
        key.public.verify(raw[4:], text.encode())
    except (ValueError, InvalidSignature):
        return False
    return line.startswith(begin) and raw[:4] == key.id


def open_checkpoint(note: str, keys: Sequence[Key]) -> Checkpoint:
    """The head that a note states; BadNote when it is not signed as it stands, or is no checkpoint."""
    lines = open_note(note, keys)
    if lines[0] not in {key.name for key in keys}:
        raise BadNote(note)
    return _read_head(lines)


def _read_head(lines: Sequence[str]) -> Checkpoint:
    return Checkpoint(int(lines[1]), base64.b64decode(lines[2]).hex(), lines[3])


def read_anchors(notes: Iterable[str], keys: Sequence[Key]) -> tuple[dict[int, str], Problem | None]:
    """Hashes by number as checkpoints state them, and what is wrong with the checkpoints themselves."""
    anchors: dict[int, str] = {}
    problem = None
    for number, note in enumerate(notes, 1):
        try:
            seen = open_checkpoint(note, keys)
        except BadNote:
            text = gettext_noop("Checkpoint %(number)d was changed, or not signed with a key of this log.")
            problem = problem or _problem(text, number=number)
            continue
        if anchors.setdefault(seen.seq, seen.hash) != seen.hash:
            text = gettext_noop("Two checkpoints state different entries %(seq)d: there are two logs of one name.")
            problem = problem or _problem(text, seq=seen.seq)
    return anchors, problem


# Exports


class Export:
    """The lines of an export, read once: its entries come first, then its manifest and its digest are known."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self._digest = hashlib.sha256()
        self.manifest = ""

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for line in self._lines:
            row = json.loads(line)
            if "manifest" in row:
                self.manifest = row["manifest"]
            else:
                self._digest.update(line.encode())
                yield _restore(row)

    @property
    def sha256(self) -> str:
        """Of all lines so far but the manifest's."""
        return self._digest.hexdigest()


def _restore(row: dict[str, Any]) -> Mapping[str, Any]:
    if "at" in row:
        row["at"] = datetime.fromisoformat(row["at"])
    return row


def line_of(entry: Mapping[str, Any]) -> str:
    """An entry (or a link) as one line of an export; times keep their microseconds."""
    row = dict(entry)
    if "at" in row:
        row["at"] = row["at"].isoformat(timespec="microseconds")
    return json.dumps(row, ensure_ascii=True) + "\n"


def verify_export(lines: Iterable[str], keys: Sequence[Key], notes: Iterable[str] = ()) -> Verdict:
    """Hold an export against its own manifest and against checkpoints that were kept."""
    anchors, problem = read_anchors(notes, keys)
    export = Export(lines)
    found = verify(export, anchors=anchors)
    problem = found.problem or problem or _fault_of_manifest(export, found, keys)
    return Verdict(found.seq, found.hash, problem)


def _fault_of_manifest(export: Export, found: Verdict, keys: Sequence[Key]) -> Problem | None:
    if not export.manifest:
        return _problem(gettext_noop("The export has no last line with its manifest: it was cut off."))
    try:
        lines = open_note(export.manifest, keys)
    except BadNote:
        return _problem(gettext_noop("The manifest was changed, or not signed with a key of this log."))
    if not lines[0].endswith(EXPORT) or lines[-1] != f"sha256 {export.sha256}":
        return _problem(gettext_noop("The manifest speaks of another export than this one."))
    head = _read_head(lines)
    return _fault_at_end(found.seq, found.hash, (head.seq, head.hash), {})


def _read_notes(path: Path) -> list[str]:
    """Checkpoints of a folder, of a file with one JSON object a line, or the one that a file is."""
    if path.is_dir():
        return [one.read_text(encoding="utf-8") for one in sorted(path.glob("*.note"))]
    text = path.read_text(encoding="utf-8")
    return [json.loads(line)["note"] for line in text.splitlines()] if path.suffix == ".jsonl" else [text]


def main(arguments: list[str]) -> int:
    """Check an export from the command line: 0 when it is whole, 1 when it is not."""
    parser = argparse.ArgumentParser(prog="verifier.py", description="Check an exported audit log.")
    parser.add_argument("export", type=Path, help="the file, JSON lines")
    parser.add_argument("--key", action="append", required=True, type=read_key, help="the log's public key")
    parser.add_argument("--checkpoints", action="append", default=[], type=Path, help="a folder or a file of them")
    options = parser.parse_args(arguments)
    notes = [note for path in options.checkpoints for note in _read_notes(path)]
    with options.export.open(encoding="utf-8", newline="\n") as lines:
        found = verify_export(lines, options.key, notes)
    print(say(found))
    return 0 if found.is_whole else 1


def say(verdict: Verdict) -> str:
    """The verdict as an English sentence, for terminals."""
    if verdict.problem:
        return str(verdict.problem["text"] % verdict.problem["params"])
    return f"The log is whole: {verdict.seq} entries, head {verdict.hash}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
