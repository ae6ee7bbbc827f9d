"""Queries that are compiled once give what the ORM gives, in every thread, whatever the values hold."""

from threading import Thread
from typing import Any

import pytest

from apps.accounts.models import Membership, Project
from apps.core.prepared import MAX_INT, Prepared
from tests.cast import Cast

BY_SLUG = Prepared(lambda slug: Project.objects.filter(slug=slug).order_by(), slug="")
ROLE = Prepared(
    lambda project, name, role: (
        Membership.objects.select_related("user")
        .filter(project_id=project, user__name=name)
        .exclude(role=role)
        .exclude(role="nobody")
    ),
    project=0,
    name="",
    role="",
)


def test_rows_are_those_of_the_orm(cast: Cast) -> None:
    found = BY_SLUG.first(slug="digits-team")
    assert found == cast.project
    assert (found.created_at, found._state.adding, found._state.db) == (cast.project.created_at, False, "default")
    assert BY_SLUG.first(slug="elsewhere") == cast.elsewhere
    assert BY_SLUG.first(slug="nowhere") is None


def test_each_value_goes_to_its_place(cast: Cast, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        [row] = ROLE.all(project=cast.project.pk, name="Dana", role="viewer")
        assert (row.user, row.role) == (cast.user("dana"), "data_scientist")
    assert ROLE.all(project=cast.project.pk, name="Dana", role="data_scientist") == []
    assert ROLE.all(project=MAX_INT, name="Dana", role="") == []


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%s", "%", "\ue0000\ue001", "手", ""])
def test_values_are_only_values(cast: Cast, text: str) -> None:
    assert BY_SLUG.first(slug=text) is None


def test_every_thread_compiles_for_its_own_connection(cast: Cast) -> None:
    BY_SLUG.first(slug="digits-team")
    plans = [BY_SLUG._plan()]
    thread = Thread(target=lambda: plans.append(BY_SLUG._plan()))
    thread.start()
    thread.join()
    assert plans[0] is BY_SLUG._plan()
    assert plans[0].connection is not plans[1].connection
    assert plans[0].sql == plans[1].sql
