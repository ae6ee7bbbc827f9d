"""Proof that a log is whole: numbers without gaps, every hash right, and the end where it should be.

Pure: it reads entries, not a database, so an export can be checked on another machine with nothing but Python, this
file and ``chain.py`` beside it::

    python3 -m apps.audit.verifier audit.jsonl --anchor 5000:9f2c…

An entry of somebody else's project stands in an export as a *link*, ``{"seq", "previous", "hash"}`` alone: its place in
the chain is proven, its content stays private. An *anchor* is the hash of an entry as seen earlier and kept elsewhere;
it is what shows that a chain was cut off or written anew from some point on.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from apps.audit.chain import FIELDS, GENESIS, entry_hash

Problem = dict[str, Any]  # {"text": English with %(named)s parts, "params": {…}}, to be said in the reader's language


@dataclass(frozen=True)
class Verdict:
    """How far the chain holds: ``seq`` and ``hash`` are of the last good entry, ``problem`` is what comes after it."""

    seq: int
    hash: str
    problem: Problem | None = None

    @property
    def is_whole(self) -> bool:
        return self.problem is None


def verify(
    entries: Iterable[Mapping[str, Any]],
    *,
    head: tuple[int, str] | None = None,
    anchors: Mapping[int, str] | None = None,
) -> Verdict:
    """Follow ``entries`` in order from the first one, and name the first that is wrong.

    ``head`` is the number and hash that the log says it ends with; ``anchors`` are hashes by number, kept elsewhere.
    """
    anchors = anchors or {}
    seq, last = 0, GENESIS
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


def _fault_at_end(seq: int, last: str, head: tuple[int, str] | None, anchors: Mapping[int, str]) -> Problem | None:
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


def read_export(lines: Iterable[str]) -> tuple[list[Mapping[str, Any]], tuple[int, str] | None]:
    """The entries of an export in JSON lines, and the head that its last line states (None when that is missing)."""
    rows = [json.loads(line) for line in lines if line.strip()]
    head = None
    if rows and "head" in rows[-1]:
        stated = rows.pop()["head"]
        head = (stated["seq"], stated["hash"])
    return list(map(_restore, rows)), head


def _restore(row: dict[str, Any]) -> Mapping[str, Any]:
    if "at" in row:
        row["at"] = datetime.fromisoformat(row["at"])
    return row


def line_of(entry: Mapping[str, Any]) -> str:
    """An entry (or a link) as one line of an export; times keep their microseconds."""
    row = dict(entry)
    if "at" in row:
        row["at"] = row["at"].isoformat(timespec="microseconds")
    return json.dumps(row, ensure_ascii=True)


EXPORTED = (*FIELDS, "previous", "hash")


def _anchors(texts: Iterable[str]) -> Iterator[tuple[int, str]]:
    for text in texts:
        number, _colon, digest = text.partition(":")
        yield int(number), digest


def main(arguments: list[str]) -> int:
    """Check an export from the command line: 0 when it is whole, 1 when it is not."""
    parser = argparse.ArgumentParser(prog="verifier", description="Check an exported audit log.")
    parser.add_argument("export", type=Path, help="the file, JSON lines")
    parser.add_argument("--anchor", action="append", default=[], metavar="SEQ:HASH", help="a hash noted earlier")
    options = parser.parse_args(arguments)
    with options.export.open(encoding="utf-8") as lines:
        entries, head = read_export(lines)
    verdict = verify(entries, head=head, anchors=dict(_anchors(options.anchor)))
    if head is None and verdict.is_whole:
        verdict = Verdict(
            verdict.seq, verdict.hash, _problem("The export has no last line with its head: it was cut off.")
        )
    print(say(verdict))
    return 0 if verdict.is_whole else 1


def say(verdict: Verdict) -> str:
    """The verdict as an English sentence, for terminals."""
    if verdict.problem:
        return str(verdict.problem["text"] % verdict.problem["params"])
    return f"The log is whole: {verdict.seq} entries, head {verdict.hash}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
