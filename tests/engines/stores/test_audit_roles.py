"""The audit log under a role of its own: what the application's role can still do with it is append and read."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import Settings

from apps.audit.models import Entry, Head
from apps.audit.services import record, verify_chain
from tests.cast import Cast
from tests.engines.databases import APP, Cluster, used_here

WRITERS, EACH = 8, 60
CHANGES = [
    "UPDATE audit_entry SET action = 'x'",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "UPDATE audit_head SET seq = 1",
    "DELETE FROM audit_head",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_entry_no_change ON audit_entry",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE RULE mine AS ON INSERT TO audit_entry DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION audit_in_order() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION audit_refuse() CASCADE",
    "DROP TABLE audit_entry",
    "ALTER TABLE audit_entry RENAME TO other",
    f"ALTER TABLE audit_entry OWNER TO {APP}",
    "DROP SCHEMA public CASCADE",
    "ALTER SCHEMA public RENAME TO other",
    "SET session_replication_role = replica",
    "SET ROLE slipway_audit",
    f"GRANT slipway_audit TO {APP}",
    f"GRANT UPDATE ON audit_entry TO {APP}; UPDATE audit_entry SET action = 'x'",
]


@pytest.fixture
def protected(server: Cluster, people: Cast, database: str, settings: Settings, tmp_path: Path) -> Cast:
    """Three entries, and the log given to its owner since."""
    settings.SLIPWAY_HOME = tmp_path
    settings.SLIPWAY_DATABASE_ADMIN_URL = server.url(database)
    write(people, 3)
    call_command("protect_audit", verbosity=0)
    connection.close()
    return people


def write(people: Cast, entries: int) -> None:
    for _entry in range(entries):
        with transaction.atomic():
            record(people.actor("ada"), "project.edited", people.project)


def test_the_applications_role_can_change_nothing(server: Cluster, protected: Cast, database: str) -> None:
    answers = {statement: refusal(server, database, statement) for statement in CHANGES}
    known = ("permission denied", "must ", "append-only")
    assert [said for said in answers.items() if not any(word in said[1] for word in known)] == []
    assert verify_chain().seq == 3


def refusal(server: Cluster, database: str, statement: str) -> str:
    """The server's words when the application's role tries this; nothing when it may."""
    try:
        server.psql(statement, database=database, user=APP)
    except subprocess.CalledProcessError as refused:
        return str(refused.stderr)
    return ""


def test_recording_goes_on_as_before(protected: Cast) -> None:
    write(protected, 2)
    assert verify_chain().is_whole
    assert Head.objects.get().seq == 5


@pytest.mark.parametrize("values", [{"seq": 5}, {"seq": 3}, {"seq": 4, "previous": "0" * 64}])
def test_what_is_not_the_next_entry_is_not_taken(protected: Cast, values: dict[str, object]) -> None:
    entry = Entry.objects.get(seq=3)
    for name, value in {"hash": "ff" * 32, "previous": entry.hash, **values}.items():
        setattr(entry, name, value)
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        entry.save(force_insert=True)
    assert verify_chain().seq == 3


def test_protecting_twice_is_harmless_and_upgrades_lift_it_for_a_while(server: Cluster, protected: Cast) -> None:
    call_command("protect_audit", verbosity=0)
    call_command("protect_audit", lift=True, verbosity=0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry ADD COLUMN added int")
        transaction.set_rollback(True)
    call_command("protect_audit", verbosity=0)
    with pytest.raises(Exception, match="must be owner"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry ADD COLUMN added int")
    write(protected, 1)


def test_a_role_that_may_do_anything_is_refused(server: Cluster, database: str, settings: Settings) -> None:
    settings.SLIPWAY_DATABASE_ADMIN_URL = server.url(database)
    with used_here(server.url(database)), pytest.raises(CommandError, match="SUPERUSER"):
        call_command("protect_audit", verbosity=0)


def test_whoever_has_the_whole_server_is_found_by_the_verifier(server: Cluster, protected: Cast, database: str) -> None:
    server.psql(
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL; UPDATE audit_entry SET actor_label = 'Nobody' WHERE seq = 2",
        database=database,
    )
    assert not verify_chain().is_whole


def test_many_writers_leave_no_gap(people: Cast) -> None:
    """One in seven changes is rolled back; numbers have no gap all the same."""
    actor = people.actor("ada")

    def append(writer: int) -> None:
        for number in range(EACH):
            with transaction.atomic():
                record(actor, "project.edited", people.project, after={"writer": writer, "number": number})
                transaction.set_rollback(number % 7 == 0)
        connection.close()

    begun = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(WRITERS)))
    seconds = time.monotonic() - begun
    kept = WRITERS * sum(number % 7 != 0 for number in range(EACH))
    assert verify_chain().seq == Entry.objects.count() == kept
    print(f"\naudit log on PostgreSQL: {kept} entries by {WRITERS} writers in {seconds:.1f} s: {kept / seconds:.0f}/s")
