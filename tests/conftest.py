"""What stories share: the cast, and a queue that collects jobs instead of ringing for them."""

from pathlib import Path

import pytest

from apps.core import jobs
from tests import engines
from tests.cast import Cast, gather
from tests.engines.daemons import docker_hosts
from tests.engines.hosts.ground import docker_ground
from tests.engines.ssh_doors import ssh_doors
from tests.engines.swarm.ground import swarm_ground

__all__ = ["docker_ground", "docker_hosts", "ssh_doors", "swarm_ground"]


LONG = tuple(Path(__file__).with_name(name) for name in ("engines", "faults"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes engines and minutes for where they are asked for."""
    if engines.are_asked_for():
        return
    words = f"takes minutes and engines of its own: SLIPWAY_REQUIRE={','.join(sorted(engines.ASKED_FOR))} asks for it"
    for item in items:
        if item.path.is_relative_to(LONG[0]) or item.path.is_relative_to(LONG[1]):
            item.add_marker(pytest.mark.skip(reason=words))


@pytest.fixture
def cast(db: None) -> Cast:
    return gather()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[jobs.Job, int]]:
    """The jobs that committed writes asked for, as ``(job, id)``; nothing is rung."""
    asked: list[tuple[jobs.Job, int]] = []
    monkeypatch.setattr(jobs, "ring", lambda job, pk: asked.append((job, pk)))
    return asked
