"""Looking changes nothing: whoever asks for any page of ours by GET leaves every table as it was."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from apps.accounts.models import User
from tests.cast import Cast
from tests.house.test_access import LETTERS, TABLE, House, unpainted

READABLE = sorted(name for name, methods in TABLE.items() if "GET" in methods)
# Where people are, which is noted as they come by: no more than that they were here.
TRACES = {"django_session", "usersessions_usersession", "django_cache"}


@pytest.fixture
def house(cast: Cast, queue: list[Any]) -> House:
    return House(cast)


def tables() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    names = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)} - TRACES)
    found = {}
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'SELECT * FROM "{name}" ORDER BY 1')
            found[name] = cursor.fetchall()
    return found


@pytest.mark.parametrize("letter", LETTERS)
def test_no_get_changes_the_database(house: House, letter: str) -> None:
    User.objects.update(last_seen=timezone.now())  # it is noted every five minutes
    before, changed = tables(), {}
    for name in READABLE:
        with unpainted():
            house.send(house.clients[letter], name, "GET")
        after = tables()
        if after != before:
            changed[name] = [table for table in after if after[table] != before[table]]
            before = after
    assert changed == {}
