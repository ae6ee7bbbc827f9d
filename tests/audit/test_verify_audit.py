"""The log in the database: verified as a whole, with what was seen earlier kept in the data folder."""

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import Settings

from apps.audit.models import Entry, Head
from apps.audit.services import record, verify_chain
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
    notes = tmp_path / "audit" / "checkpoints.jsonl"
    assert notes.stat().st_mode & 0o077 == 0


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
