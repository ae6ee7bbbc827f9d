"""Leases on PostgreSQL, where others hold rows while one looks: nobody waits, nobody gets the same."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import psycopg2
from django.db import connection
from django.utils import timezone

from apps.core import leases
from apps.targets.models import Target
from tests.engines.databases import Cluster

MANY, AT_ONCE = 300, 8

T = TypeVar("T")


def add_targets(number: int) -> list[int]:
    now = timezone.now()
    rows = Target.objects.bulk_create(Target(name=f"target-{n}", kind="fake", due_at=now) for n in range(number))
    return [row.pk for row in rows]


def crowd(do: Callable[[int], T]) -> list[T]:
    """What each of some threads comes back with, all let loose at once on connections of their own."""

    def alone(number: int) -> T:
        try:
            return do(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(alone, range(AT_ONCE)))


def test_a_row_that_somebody_holds_is_passed_over(server: Cluster, database: str) -> None:
    held, free = add_targets(2)
    with closing(psycopg2.connect(server.url(database))) as other:
        other.cursor().execute("SELECT * FROM targets_target WHERE id = %s FOR UPDATE", [held])
        begun = time.monotonic()
        assert leases.find_due(Target, 5) == [free]
        assert leases.take(Target, held, seconds=60) is None
        assert time.monotonic() - begun < 2
        other.rollback()  # a server may notice a closed connection late
    assert leases.find_due(Target, 5) == [held, free]
    assert leases.take(Target, held, seconds=60) is not None


def test_many_workers_share_out_what_many_sweeps_find(database: str) -> None:
    keys = add_targets(MANY)

    def work(_number: int) -> list[int]:
        found = leases.find_due(Target, MANY)
        return [pk for pk in found if leases.take(Target, pk, seconds=60) is not None]

    assert sorted(pk for some in crowd(work) for pk in some) == sorted(keys)
    assert leases.find_due(Target, MANY) == []


def test_a_row_is_leased_to_one_of_many(database: str) -> None:
    [key] = add_targets(1)
    taken = crowd(lambda _number: leases.take(Target, key, seconds=60))
    assert [row.fence for row in taken if row is not None] == [1]
