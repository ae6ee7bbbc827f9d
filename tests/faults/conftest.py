"""A database server for all stories, a database and a lab for each, and the figures at the end."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.databases import Cluster, cluster, used_here
from tests.faults.lab import LEASE_SECONDS, Lab, make_lab, quicken
from tests.faults.workers import Crew
from tests.gateway.conftest import gateway, launch, shared_gateway, stage
from tests.worker.notifiers.receivers import Receiver, http_receiver

__all__ = ["gateway", "launch", "shared_gateway", "stage"]

SEED = 20
# A worker that fell asleep in a transaction must not keep its locks for longer than its lease.
IMPATIENT = f"options=-c%20idle_in_transaction_session_timeout%3D{int(LEASE_SECONDS * 1000)}ms"


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def lab(
    server: Cluster, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker
) -> Iterator[Lab]:
    """On a database of its own, with time running faster."""
    url = server.create_with_tables(f"lab_{tmp_path.name}")
    with django_db_blocker.unblock(), used_here(f"{url}?{IMPATIENT}"):
        lab = make_lab(tmp_path, receiver, SEED)
        quicken(monkeypatch, lab)
        yield lab


@pytest.fixture
def crew(lab: Lab, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.end()


@pytest.fixture
def chance() -> random.Random:
    return random.Random(SEED)
