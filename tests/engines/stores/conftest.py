"""One cluster for all stories; each has a database of its own, used by this process as if it were the only one."""

from collections.abc import Iterator
from itertools import count

import pytest
from pytest_django import DjangoDbBlocker

from tests.cast import Cast, gather
from tests.engines.databases import Cluster, cluster, used_here

_number = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def database(server: Cluster, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The name of a database with all tables, which is the default one until the story ends; commits are real."""
    name = f"story_{next(_number)}"
    with django_db_blocker.unblock(), used_here(server.create_with_tables(name)):
        yield name


@pytest.fixture
def people(database: str) -> Cast:
    return gather()
