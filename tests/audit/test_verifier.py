"""The verifier finds every way to change a log, and where."""

import base64
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.audit import verifier
from apps.audit.checkpoints import key_texts, public_keys, sign, sign_export
from apps.audit.verifier import (
    FIELDS,
    GENESIS,
    BadNote,
    Export,
    entry_hash,
    line_of,
    main,
    open_checkpoint,
    open_note,
    read_anchors,
    read_key,
    say,
    verify,
    verify_export,
)

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


def export(rows: list[Row], *, head: Row | None = None) -> list[str]:
    """The lines of an export of these rows, with a manifest as this installation signs it."""
    lines, end = [line_of(row) for row in rows], head or rows[-1]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    manifest = sign_export(end["seq"], end["hash"], project="", sha256=digest)
    return [*lines, json.dumps({"manifest": manifest}) + "\n"]


def write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(lines))
    return str(path)


def fork(rows: list[Row], at: int) -> None:
    """Another history from here on, as long as the first one."""
    rows[at:] = chain_of([{**row, "reason": "fork"} for row in rows[at:]], rows[at]["previous"])


def test_export_reads_back_to_the_microsecond() -> None:
    assert list(Export(export(log()))) == log()
    assert verify_export(export(log()), public_keys()).is_whole


@pytest.mark.parametrize("mutate", [*MUTATIONS, fork])
def test_every_change_to_an_export_is_found_even_where_its_manifest_is_signed_anew(
    mutate: Callable[[list[Row], int], None],
) -> None:
    """Somebody who has the database (not its checkpoints) and lets the server sign what is left of it."""
    notes = [sign(row["seq"], row["hash"]) for row in log()[9::10]]
    dice = random.Random(mutate.__name__)
    for _round in range(25):
        rows = log()
        mutate(rows, dice.randrange(len(rows) - 1))
        assert not verify_export([*export(rows)], public_keys(), notes).is_whole
        assert not verify_export([*map(line_of, rows), export(log())[-1]], public_keys()).is_whole


def test_project_in_the_manifest_and_its_other_lines_are_signed() -> None:
    lines = export(log())
    changed = lines[-1].replace("all projects", "project mine")
    assert say(verify_export([*lines[:-1], changed], public_keys())).startswith("The manifest was changed")
    assert say(verify_export(lines[:-1], public_keys())) == (
        "The export has no last line with its manifest: it was cut off."
    )


def test_a_manifest_is_no_checkpoint_and_a_checkpoint_no_manifest() -> None:
    rows = log()
    manifest = json.loads(export(rows)[-1])["manifest"]
    with pytest.raises(BadNote):
        open_checkpoint(manifest, public_keys())
    lines = [*export(rows)[:-1], json.dumps({"manifest": sign(40, rows[-1]["hash"])}) + "\n"]
    assert say(verify_export(lines, public_keys())) == "The manifest speaks of another export than this one."


def test_checkpoint_is_a_note_as_others_read_it() -> None:
    """The form of c2sp.org/signed-note: text, an empty line, and the key's name, hint and signature in base64."""
    note = sign(40, "ab" * 32)
    text, signature = note.split("\n\n")
    name, size, root, at = text.split("\n")
    assert (size, base64.b64decode(root).hex()) == ("40", "ab" * 32)
    assert datetime.fromisoformat(at).tzinfo is not None
    assert signature.startswith(f"\u2014 {name} ")
    assert signature.endswith("\n")
    raw = base64.b64decode(signature.split(" ")[2])
    key = public_keys()[0].public.public_bytes_raw()
    assert raw[:4] == hashlib.sha256(f"{name}\n\x01".encode() + key).digest()[:4]
    assert len(raw) == 4 + 64


def test_public_key_is_written_as_others_read_it() -> None:
    """The test vector of golang.org/x/mod/sumdb/note."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "\u2014 PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert open_note(note, [read_key(text)])[0].startswith("If you think")
    with pytest.raises(BadNote):
        open_note(note.replace("answer", "problem"), [read_key(text)])
    with pytest.raises(ValueError, match="not the key"):
        read_key(text.replace("PeterNeumann", "Somebody"))


def test_two_heads_of_one_number_are_a_fork() -> None:
    notes = [sign(40, "ab" * 32), sign(40, "cd" * 32)]
    anchors, problem = read_anchors(notes, public_keys())
    assert anchors == {40: "ab" * 32}
    assert problem
    assert "two logs" in problem["text"]


def test_export_is_verified_by_the_one_file_without_django(tmp_path: Path) -> None:
    """Copied away, with nothing of ours beside it."""
    copy = tmp_path / "verifier.py"
    copy.write_bytes(Path(verifier.__file__).read_bytes())
    path = write(tmp_path / "log.jsonl", export(log()))
    code = (
        "import runpy, sys; sys.modules.update(django=None, apps=None); "
        f"sys.argv[0] = {str(copy)!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, "--key", key_texts()[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The log is whole: 40 entries")


def test_cut_off_export_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, key = export(log()), key_texts()[0]
    assert main([write(tmp_path / "log.jsonl", [*lines[:20], lines[-1]]), "--key", key]) == 1
    assert "another export" in capsys.readouterr().out
    assert main([write(tmp_path / "log.jsonl", lines[:20]), "--key", key]) == 1


def test_export_is_held_against_kept_checkpoints(tmp_path: Path) -> None:
    path, key, whole = write(tmp_path / "log.jsonl", export(log())), key_texts()[0], log()
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "5.note").write_text(sign(5, whole[4]["hash"]))
    (tmp_path / "signed.jsonl").write_text(json.dumps({"note": sign(9, whole[8]["hash"])}) + "\n")
    known = ["--checkpoints", str(folder), "--checkpoints", str(tmp_path / "signed.jsonl")]
    assert main([path, "--key", key, *known]) == 0
    (folder / "6.note").write_text(sign(6, "0" * 64))
    assert main([path, "--key", key, *known]) == 1


def test_no_two_entries_share_an_encoding() -> None:
    rows = log(2)
    moved = {**rows[0], "actor_label": rows[0]["actor_label"] + "1:x"}
    assert entry_hash(GENESIS, moved) != rows[0]["hash"]
