"""The verifier finds every way to change a log, and where."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.audit.chain import FIELDS, GENESIS, entry_hash
from apps.audit.verifier import line_of, main, read_export, say, verify

Row = dict[str, Any]
START = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


def chain_of(rows: list[Row], previous: str = GENESIS) -> list[Row]:
    """The rows, each with the hash it should have after the one before."""
    for row in rows:
        row["previous"] = previous
        row["hash"] = previous = entry_hash(previous, row)
    return rows


def log(length: int = 40) -> list[Row]:
    def row(seq: int) -> Row:
        plain: Row = dict.fromkeys(FIELDS, "")
        return {
            **plain,
            "seq": seq,
            "at": START + timedelta(seconds=seq),
            "actor_id": seq % 5,
            "actor_label": f"Person {seq % 5} é",
            "action": "project.edited",
            "object_id": str(seq),
            "project_id": seq % 3 or None,
            "after": json.dumps({"n": seq}),
        }

    return chain_of([row(seq) for seq in range(1, length + 1)])


def edit(rows: list[Row], at: int) -> None:
    rows[at]["after"] = rows[at]["after"].replace("n", "m")


def delete(rows: list[Row], at: int) -> None:
    del rows[at]


def swap(rows: list[Row], at: int) -> None:
    rows[at], rows[at + 1] = rows[at + 1], rows[at]


def truncate(rows: list[Row], at: int) -> None:
    del rows[at:]


def insert(rows: list[Row], at: int) -> None:
    rows.insert(at, dict(rows[at]))


def back_date(rows: list[Row], at: int) -> None:
    rows[at]["at"] -= timedelta(microseconds=1)


def move_between_fields(rows: list[Row], at: int) -> None:
    rows[at]["actor_label"], rows[at]["action"] = rows[at]["actor_label"] + "p", rows[at]["action"][1:]


def rechain(rows: list[Row], at: int) -> None:
    rows[at]["actor_label"] = "Nobody"
    chain_of(rows[at:], rows[at]["previous"])


def renumber(rows: list[Row], at: int) -> None:
    del rows[at]
    for seq, row in enumerate(rows, 1):
        row["seq"] = seq
    chain_of(rows)


MUTATIONS = [edit, delete, swap, truncate, insert, back_date, move_between_fields, rechain, renumber]


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_every_change_is_found_by_the_head(mutate: Callable[[list[Row], int], None]) -> None:
    whole = log()
    head = (whole[-1]["seq"], whole[-1]["hash"])
    dice = random.Random(mutate.__name__)
    for _round in range(60):
        rows = [dict(row) for row in whole]
        mutate(rows, dice.randrange(len(rows) - 1))
        assert not verify(rows, head=head).is_whole


@pytest.mark.parametrize("mutate", [truncate, rechain, renumber])
def test_forged_head_is_found_by_an_anchor_kept_elsewhere(mutate: Callable[[list[Row], int], None]) -> None:
    rows = log()
    anchors = {30: rows[29]["hash"]}
    mutate(rows, 20)
    forged = (rows[-1]["seq"], rows[-1]["hash"])
    assert verify(rows, head=forged).is_whole
    assert not verify(rows, head=forged, anchors=anchors).is_whole


def test_the_first_bad_entry_is_named() -> None:
    rows = log()
    edit(rows, 6)
    verdict = verify(rows)
    assert verdict.seq == 6
    assert say(verdict) == "Entry 7 was changed: its content does not give its hash."


def test_a_whole_log_is_whole() -> None:
    rows = log()
    verdict = verify(rows, head=(40, rows[-1]["hash"]), anchors={7: rows[6]["hash"]})
    assert verdict.is_whole
    assert verdict.seq == 40
    assert verify([], head=(0, GENESIS)).is_whole


def test_links_prove_the_place_of_entries_that_are_not_shown() -> None:
    rows: list[Row] = [
        row if row["seq"] % 2 else {name: row[name] for name in ("seq", "previous", "hash")} for row in log()
    ]
    assert verify(rows, head=(40, rows[-1]["hash"])).is_whole
    del rows[11]
    assert not verify(rows).is_whole


def write_export(path: Path, rows: list[Row]) -> Path:
    head = {"head": {"seq": 40, "hash": log()[-1]["hash"]}}
    path.write_text("\n".join([*map(line_of, rows), json.dumps(head)]) + "\n")
    return path


def test_export_reads_back_to_the_microsecond(tmp_path: Path) -> None:
    with write_export(tmp_path / "log.jsonl", log()).open() as lines:
        entries, head = read_export(lines)
    assert entries == log()
    assert verify(entries, head=head).is_whole


def test_export_is_verified_without_django(tmp_path: Path) -> None:
    path = write_export(tmp_path / "log.jsonl", log())
    code = (
        "import sys; sys.modules['django'] = None; from apps.audit.verifier import main; sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The log is whole: 40 entries")


def test_cut_off_export_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_export(tmp_path / "log.jsonl", log()[:20])
    assert main([str(path)]) == 1
    assert "ends with entry 20" in capsys.readouterr().out
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert main([str(path)]) == 1


def test_export_is_held_against_a_noted_hash(tmp_path: Path) -> None:
    path = write_export(tmp_path / "log.jsonl", log())
    assert main([str(path), "--anchor", f"5:{log()[4]['hash']}"]) == 0
    assert main([str(path), "--anchor", f"5:{'0' * 64}"]) == 1


def test_no_two_entries_share_an_encoding() -> None:
    rows = log(2)
    moved = {**rows[0], "actor_label": rows[0]["actor_label"] + "1:x"}
    assert entry_hash(GENESIS, moved) != rows[0]["hash"]
