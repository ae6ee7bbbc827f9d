"""Fine measurements by the day: where rows go, what is read, and that forgetting a day is dropping a table."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from apps.monitoring import partitions
from apps.monitoring.models import Sample, Window
from apps.monitoring.rollup import forget, roll_up
from tests.cast import Cast, gather
from tests.engines.databases import Cluster, used_here
from tests.engines.stores.conftest import is_somebody_waiting
from tests.monitoring.traffic import serving, traffic, window
from tests.promises.beds import wait_for

NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)
FIRST = [f"monitoring_window_fine_202605{day}" for day in (10, 11, 12, 13)]


def tables(name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE %s ORDER BY 1", [f"{name}%"])
        return [table for (table,) in cursor.fetchall()]


def rows_in(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        return int(cursor.fetchone()[0])


def test_days_are_made_ahead_once(database: str) -> None:
    assert partitions.make_ahead(NOON) == 8
    assert partitions.make_ahead(NOON) == 0
    assert tables("monitoring_window_fine_2") == FIRST
    assert partitions.make_ahead(NOON + timedelta(days=1)) == 2


def test_rows_that_came_before_their_day_was_made_move_into_it(people: Cast) -> None:
    deployment = serving(people, live_at=NOON)
    traffic(deployment, NOON, NOON + timedelta(minutes=5))
    assert rows_in("monitoring_window_fine_rest") == 30
    partitions.make_ahead(NOON)
    assert [rows_in("monitoring_window_fine_rest"), rows_in(FIRST[0])] == [0, 30]
    assert [rows_in("monitoring_sample_rest"), rows_in("monitoring_sample_20260510")] == [0, 60]
    assert Window.objects.count() == 30


def test_old_days_are_dropped_and_old_rows_of_no_day_deleted(people: Cast) -> None:
    deployment = serving(people, live_at=NOON)
    for days in (9, 3, 1, 0):
        at = NOON - timedelta(days=days)
        if days != 9:
            partitions.make_ahead(at)
        window(deployment.endpoint, deployment, at, latencies_ms=[5]).save()
        Sample.objects.create(deployment=deployment, replica_name="r", at=at, cpu=1, memory_bytes=1)
    assert forget(NOON) == 2  # those of nine days ago; whole days are not counted
    assert Window.objects.count() == Sample.objects.count() == 2
    assert tables("monitoring_window_fine_2")[0] == "monitoring_window_fine_20260508"


def test_storing_twice_is_storing_once_in_parts_too(people: Cast) -> None:
    deployment = serving(people, live_at=NOON)
    partitions.make_ahead(NOON)
    for _time in range(2):
        rows = [window(deployment.endpoint, on, NOON, latencies_ms=[5]) for on in (deployment, None)]
        Window.objects.bulk_create(rows, ignore_conflicts=True)
    assert Window.objects.count() == 2
    assert len(set(Window.objects.values_list("pk", flat=True))) == 2


def test_hours_are_rolled_up_across_midnight(people: Cast) -> None:
    deployment = serving(people, live_at=NOON)
    partitions.make_ahead(NOON)
    late = datetime(2026, 5, 10, 23, tzinfo=UTC)
    traffic(deployment, late, late + timedelta(hours=2))
    of_each_length = [120, 24, 8, 2, 1, 1]  # from a minute to a day
    assert roll_up(late + timedelta(hours=2, minutes=1)) == sum(of_each_length)
    assert rows_in("monitoring_window_coarse") == sum(of_each_length)


def test_reading_an_hour_looks_into_one_day_only(people: Cast) -> None:
    partitions.make_ahead(NOON)
    rows = Window.objects.filter(endpoint=1, seconds=10, start__gte=NOON, start__lt=NOON + timedelta(hours=1))
    plan = rows.explain()
    assert FIRST[0] in plan
    assert not any(other in plan for other in (*FIRST[1:], "rest", "coarse"))


def test_making_days_gives_up_rather_than_stop_everybody(
    server: Cluster, people: Cast, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "PATIENCE", "100ms")
    with closing(psycopg2.connect(server.url(database))) as reader:
        reader.cursor().execute("SELECT * FROM monitoring_window_fine_rest")  # and its transaction goes on
        with pytest.raises(OperationalError, match="lock timeout"):
            partitions.make_ahead(NOON)
    assert partitions.make_ahead(NOON) == 8


def test_what_is_measured_while_its_day_is_made_is_kept(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its way into the rest was open when the row set out, and closed when it arrived."""
    deployment = serving(people, live_at=NOON)
    row = window(deployment.endpoint, deployment, NOON, latencies_ms=[5])
    make_day = partitions._make_day
    late: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:

        def overtaken(*args: Any) -> None:
            if not late:
                late.append(pool.submit(store, row))
                wait_for(lambda: late[0].done() or is_somebody_waiting())
            make_day(*args)

        monkeypatch.setattr(partitions, "_make_day", overtaken)
        assert partitions.make_ahead(NOON) == 8
        late[0].result(10)
    assert [rows_in("monitoring_window_fine_rest"), rows_in(FIRST[0])] == [0, 1]


def store(row: Window) -> None:
    try:
        Window.objects.bulk_create([row], ignore_conflicts=True)
    finally:
        connection.close()


def test_an_installation_keeps_its_measurements_when_its_tables_are_parted(
    server: Cluster, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), used_here(server.create("grown")):
        call_command("migrate", "monitoring", "0003", verbosity=0)
        for app in apps.get_app_configs():
            if app.label != "monitoring" and (Path(app.path) / "migrations").is_dir():
                call_command("migrate", app.label, verbosity=0)
        traffic(serving(gather(), live_at=NOON), NOON, NOON + timedelta(hours=1))
        before = contents()
        call_command("migrate", verbosity=0)
        assert contents() == before
        assert rows_in("monitoring_window_fine_rest") == 360
        row = Window.objects.last()
        assert row is not None
        newest, row.pk, row.source = row.pk, None, "gateway-2"
        row.save()
        assert row.pk == newest + 1
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def contents() -> list[list[tuple[object, ...]]]:
    columns = ("pk", "start", "requests", "counts", "deployment_id")
    windows = Window.objects.order_by("pk").values_list(*columns)
    return [list(windows), list(Sample.objects.order_by("pk").values_list())]
