"""The log in the database: verified as a whole, with what was seen earlier kept in the data folder."""

import json
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from apps.audit.checkpoints import append, kept, key_texts, last_checkpoint, last_verification, public_keys, sign
from apps.audit.models import Entry, Head
from apps.audit.services import record, sign_head, verify_chain
from apps.audit.verifier import entry_hash, open_checkpoint
from apps.core.errors import StateConflict
from tests.cast import Cast

UNGUARDED = [
    "DROP TRIGGER audit_entry_no_update",
    "DROP TRIGGER audit_entry_no_delete",
    "DROP TRIGGER audit_entry_in_order",
    "DROP TRIGGER audit_head_moves",
]


@pytest.fixture
def written(cast: Cast, settings: Settings, tmp_path: Path) -> Cast:
    """Twelve entries, and a data folder of their own."""
    settings.SLIPWAY_HOME = tmp_path
    for number in range(12):
        with transaction.atomic():
            record(cast.actor("ada"), "project.edited", cast.project, after={"n": number})
    return cast


def tamper(*statements: str) -> None:
    """Do what somebody with the database's own password could."""
    if connection.vendor != "sqlite":
        pytest.skip("the statements speak SQLite")
    with connection.cursor() as cursor:
        for statement in [*UNGUARDED, *statements]:
            cursor.execute(statement)


def test_whole_log_verifies_and_is_noted(written: Cast, tmp_path: Path) -> None:
    found = verify_chain()
    assert found.is_whole
    assert (found.seq, found.hash) == (12, Head.objects.get().hash)
    assert last_verification() == found
    assert last_checkpoint() == (12, found.hash, ANY)
    assert (tmp_path / "audit" / "signed.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor_label = 'Nobody' WHERE seq = 5",
        "UPDATE audit_entry SET at = '2020-01-01 00:00:00' WHERE seq = 5",
        "UPDATE audit_entry SET project_id = NULL WHERE seq = 5",
        "DELETE FROM audit_entry WHERE seq = 5",
        "DELETE FROM audit_entry WHERE seq > 9",
        "UPDATE audit_head SET hash = substr(hash, 2) || '0'",
        "INSERT INTO audit_entry SELECT 13, at, actor_kind, actor_id, actor_label, ip, request_id, action, "
        "object_type, object_id, object_label, before, after, reason, previous, 'ff', project_id "
        "FROM audit_entry WHERE seq = 5",
    ],
)
def test_tampered_log_is_found(written: Cast, statement: str) -> None:
    tamper(statement)
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit")
    assert ended.value.code == 1


def test_log_cut_off_together_with_its_head_is_found_by_what_was_seen_earlier(written: Cast) -> None:
    assert verify_chain().is_whole
    ninth = Entry.objects.get(seq=9)
    tamper("DELETE FROM audit_entry WHERE seq > 9", f"UPDATE audit_head SET seq = 9, hash = '{ninth.hash}'")
    found = verify_chain()
    assert found.problem
    assert "cut off" in found.problem["text"]


def test_later_verifications_do_not_wash_a_forgery(written: Cast) -> None:
    assert verify_chain().is_whole
    tamper("UPDATE audit_entry SET actor_label = 'Nobody' WHERE seq = 12")
    assert not verify_chain().is_whole
    assert not verify_chain().is_whole


def test_log_that_grew_since_is_whole(written: Cast) -> None:
    verify_chain()
    with transaction.atomic():
        record(written.actor("ada"), "project.edited", written.project)
    assert verify_chain().seq == 13


def test_command_says_how_far_the_log_holds(written: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_audit")
    assert "whole: 12 entries" in capsys.readouterr().out
    call_command("verify_audit", quiet=True)
    assert capsys.readouterr().out == ""
    call_command("verify_audit", public_key=True)
    assert capsys.readouterr().out.split() == key_texts()


def append_entries(cast: Cast, count: int) -> None:
    for number in range(count):
        with transaction.atomic():
            record(cast.actor("ada"), "project.edited", cast.project, after={"n": number})


def rechain(*statements: str) -> None:
    """Change something and give all entries and the head the hashes that they should have then."""
    tamper(*statements)
    previous = "0" * 64
    for seq, row in enumerate(Entry.objects.order_by("seq").values(), 1):
        made = entry_hash(previous, {**row, "seq": seq})
        Entry.objects.filter(seq=row["seq"]).update(seq=seq, previous=previous, hash=made)
        previous = made
    Head.objects.update(seq=Entry.objects.count(), hash=previous)


def signed_numbers() -> list[int]:
    return [open_checkpoint(note, public_keys()).seq for note in kept()]


def test_head_is_signed_at_once_and_then_after_five_minutes_or_a_thousand_entries(
    written: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_head()
    append_entries(written, 3)
    sign_head()
    assert signed_numbers() == [12]
    monkeypatch.setattr("apps.audit.services.SIGN_AT", 3)
    sign_head()
    sign_head()
    assert signed_numbers() == [12, 15]
    append_entries(written, 1)
    later = timezone.now() + timedelta(minutes=5)
    monkeypatch.setattr("apps.audit.services.timezone.now", lambda: later)
    sign_head()
    assert signed_numbers() == [12, 15, 16]


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE audit_entry SET actor_label = 'Nobody' WHERE seq = 5"],
        ["DELETE FROM audit_entry WHERE seq = 5"],
        ["DELETE FROM audit_entry WHERE seq > 9"],
        [f"UPDATE audit_entry SET seq = {to} WHERE seq = {seq}" for seq, to in ((5, 99), (6, 5), (99, 6))],
        [
            *(f"UPDATE audit_entry SET seq = {seq + 1} WHERE seq = {seq}" for seq in range(12, 4, -1)),
            "INSERT INTO audit_entry SELECT 5, at, actor_kind, actor_id, actor_label, ip, request_id, action, "
            "object_type, object_id, object_label, before, after, 'Forged', previous, 'ff', project_id "
            "FROM audit_entry WHERE seq = 6",
        ],
    ],
    ids=["edit", "delete", "truncate", "reorder", "insert"],
)
def test_log_that_was_chained_anew_is_found_by_its_checkpoints(written: Cast, statements: list[str]) -> None:
    sign_head()
    rechain(*statements)
    assert not verify_chain().is_whole


def test_nothing_is_signed_that_does_not_follow_from_what_was_signed_before(
    written: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.audit.services.SIGN_AT", 1)
    sign_head()
    append_entries(written, 3)
    rechain("UPDATE audit_entry SET actor_label = 'Nobody' WHERE seq = 5")
    sign_head()
    assert signed_numbers() == [12]
    found = last_verification()
    assert found
    assert found.seq == 11
    monkeypatch.setattr("apps.audit.services.verify_chain", lambda: pytest.fail("looked again at once"))
    sign_head()


def test_truncated_log_is_not_exported_under_our_signature(written: Cast) -> None:
    sign_head()
    rechain("DELETE FROM audit_entry WHERE seq > 9")
    with pytest.raises(StateConflict, match="not the one whose checkpoints were signed"):
        call_command("export_audit")


def test_changed_checkpoint_is_found(written: Cast, tmp_path: Path) -> None:
    assert verify_chain().is_whole
    path = tmp_path / "audit" / "signed.jsonl"
    path.write_text(path.read_text().replace("\\n12\\n", "\\n11\\n"))
    found = verify_chain()
    assert found.problem == {"text": ANY, "params": {"number": 1}}
    assert "not signed with a key of this log" in found.problem["text"]


def test_half_written_checkpoint_is_written_over(written: Cast, tmp_path: Path) -> None:
    sign_head()
    path = tmp_path / "audit" / "signed.jsonl"
    with path.open("a") as file:
        file.write('{"note": "slipway')
    last = last_checkpoint()
    assert last
    assert last.seq == 12
    append(sign(13, "0" * 64))
    assert [json.loads(line) for line in path.read_text().splitlines()]
    assert signed_numbers() == [12, 13]


def test_copy_in_a_second_place_witnesses_what_the_data_folder_has_lost(
    written: Cast, settings: Settings, tmp_path: Path
) -> None:
    settings.SLIPWAY_AUDIT_CHECKPOINTS = str(tmp_path / "elsewhere")
    sign_head()
    (copy,) = (tmp_path / "elsewhere").iterdir()
    assert copy.name == f"000000000012-{Head.objects.get().hash}.note"
    assert copy.read_text() == next(kept())
    assert copy.stat().st_mode & 0o222 == 0
    rechain("DELETE FROM audit_entry WHERE seq > 9")
    (tmp_path / "audit" / "signed.jsonl").unlink()
    found = verify_chain()
    assert found.problem
    assert "cut off" in found.problem["text"]
    assert found.problem["params"] == {"seq": 9, "found": 12}


def test_copies_that_could_not_be_made_are_made_up_for(written: Cast, settings: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "elsewhere"
    blocked.write_text("no folder")
    settings.SLIPWAY_AUDIT_CHECKPOINTS = str(blocked)
    sign_head()
    assert signed_numbers() == [12]
    found = verify_chain()
    assert found.problem
    assert "cannot be compared" in found.problem["text"]
    blocked.unlink()
    assert verify_chain().is_whole
    assert [path.suffix for path in blocked.iterdir()] == [".note"]
