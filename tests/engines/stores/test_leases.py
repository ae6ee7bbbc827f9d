"""Leases and claims on PostgreSQL, where others hold rows while one looks: nobody waits, nobody gets the same."""

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

MANY, AT_ONCE = 2000, 8

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


def test_sweeps_at_the_same_moment_claim_each_row_once(database: str) -> None:
    keys = add_targets(MANY)
    claimed = crowd(lambda _number: [pk for _turn in range(5) for pk in leases.claim(Target, most=MANY // AT_ONCE)])
    assert sorted(pk for some in claimed for pk in some) == sorted(keys)


def test_a_row_that_somebody_holds_is_passed_over(server: Cluster, database: str) -> None:
    held, free = add_targets(2)
    with closing(psycopg2.connect(server.url(database))) as other:
        other.cursor().execute("SELECT * FROM targets_target WHERE id = %s FOR UPDATE", [held])
        assert leases.claim(Target, most=5) == [free]
    assert leases.claim(Target, most=5) == [held]


def test_a_row_is_leased_to_one_of_many(database: str) -> None:
    [key] = add_targets(1)
    taken = crowd(lambda _number: leases.take(Target, key, seconds=60))
    assert [row.fence for row in taken if row is not None] == [1]
