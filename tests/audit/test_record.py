"""The log is written with the change, in order, and cannot be edited from here."""

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import Entry, Head
from apps.audit.services import record
from tests.cast import Cast


def test_entries_are_numbered_and_chained(cast: Cast) -> None:
    ada = cast.actor("ada")
    with transaction.atomic():
        first = record(ada, "project.edited", cast.project, before={"name": "Old"}, after={"name": "New"})
        second = record(ada, "project.edited", cast.project)
    assert (first.seq, second.seq) == (1, 2)
    assert second.previous == first.hash
    assert Head.objects.get().hash == second.hash


def test_a_rolled_back_change_leaves_no_gap(cast: Cast) -> None:
    ada = cast.actor("ada")
    with pytest.raises(RuntimeError), transaction.atomic():
        record(ada, "project.edited", cast.project)
        raise RuntimeError
    with transaction.atomic():
        assert record(ada, "project.edited", cast.project).seq == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET action = 'x'",
        "DELETE FROM audit_entry",
        "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE seq = 1",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 0",
        "UPDATE audit_head SET hash = 'ff'",
    ],
)
def test_the_database_refuses_to_rewrite_history(cast: Cast, statement: str) -> None:
    if connection.vendor != "sqlite" and "OR REPLACE" in statement:
        pytest.skip("only SQLite knows INSERT OR REPLACE")
    with transaction.atomic():
        record(cast.actor("ada"), "project.edited", cast.project)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Entry.objects.get().action == "project.edited"
