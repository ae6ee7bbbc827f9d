"""Fine measurements by the day, on PostgreSQL: a table for each UTC day, made ahead, and dropped whole when it is old.

Rows of a day that has no table yet are kept in the parent's table ``…_rest``; they move when their day's is made.
SQLite has one table, whose rows are deleted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

log = structlog.get_logger(__name__)

DAYS_AHEAD = 3
PATIENCE = "2s"  # for a lock: a reader of hours must not stop everybody else; the next round tries again


@dataclass(frozen=True)
class Daily:
    """A table in parts by day of ``column``; its parts are called ``<table>_20260501``."""

    table: str
    column: str

    def part(self, day: date) -> str:
        return f"{self.table}_{day:%Y%m%d}"

    @property
    def rest(self) -> str:
        return f"{self.table}_rest"


FINE_WINDOWS = Daily("monitoring_window_fine", "start")
SAMPLES = Daily("monitoring_sample", "at")


def are_used() -> bool:
    return connection.vendor == "postgresql"


def make_ahead(now: datetime | None = None) -> int:
    """Make the tables of today and the days to come that are missing; return how many."""
    if not are_used():
        return 0
    now = now or timezone.now()
    days = [now.astimezone(UTC).date() + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]
    return sum(_make(daily, days) for daily in (FINE_WINDOWS, SAMPLES))


def drop_before(daily: Daily, moment: datetime) -> int:
    """Drop the days that ended by then, and delete what is older of the rest; return how many rows went that way."""
    for day in sorted(_days(daily)):
        if _midnight(day + timedelta(days=1)) <= moment:
            with _locking() as cursor:
                cursor.execute(f"DROP TABLE {daily.part(day)}")
            log.info("day_dropped", table=daily.part(day))
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {daily.rest} WHERE {daily.column} < %s", [moment])
        return int(cursor.rowcount)


def _make(daily: Daily, days: Sequence[date]) -> int:
    if not set(days) - _days(daily):
        return 0
    with _locking() as cursor:
        # Who writes waits before they have chosen a part: a row on its way into the rest would not fit there any more.
        cursor.execute(f"LOCK TABLE ONLY {daily.table} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"LOCK TABLE {daily.rest} IN ACCESS EXCLUSIVE MODE")  # and look again: others make them, too
        missing = sorted(set(days) - _days(daily))
        for day in missing:
            _make_day(cursor, daily, day)
    return len(missing)


def _make_day(cursor: CursorWrapper, daily: Daily, day: date) -> None:
    part, column = daily.part(day), daily.column
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    cursor.execute(f"CREATE TABLE {part} (LIKE {daily.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {daily.rest} WHERE {column} >= %s AND {column} < %s RETURNING *) "
        f"INSERT INTO {part} SELECT * FROM moved",
        [start, end],
    )
    cursor.execute(f"ALTER TABLE {daily.table} ATTACH PARTITION {part} FOR VALUES FROM (%s) TO (%s)", [start, end])


def _days(daily: Daily) -> set[date]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = %s::regclass",
            [daily.table],
        )
        names = [name for (name,) in cursor.fetchall()]
    return {datetime.strptime(name[-8:], "%Y%m%d").date() for name in names if name != daily.rest}  # noqa: DTZ007


@contextmanager
def _locking() -> Iterator[CursorWrapper]:
    """A transaction that gives up rather than let others queue behind it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        yield cursor


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
