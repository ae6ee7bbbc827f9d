"""What stories share: the cast, and a queue that collects jobs instead of ringing for them."""

import pytest

from apps.core import jobs
from tests.cast import Cast, gather
from tests.engines.daemons import docker_hosts
from tests.engines.hosts.ground import docker_ground
from tests.engines.swarm.ground import swarm_ground

__all__ = ["docker_ground", "docker_hosts", "swarm_ground"]


@pytest.fixture
def cast(db: None) -> Cast:
    return gather()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[jobs.Job, int]]:
    """The jobs that committed writes asked for, as ``(job, id)``; nothing is rung."""
    asked: list[tuple[jobs.Job, int]] = []
    monkeypatch.setattr(jobs, "ring", lambda job, pk: asked.append((job, pk)))
    return asked
