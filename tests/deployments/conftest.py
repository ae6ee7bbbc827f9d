"""A stage for deployments: a fake target whose replicas are ready when the story says so, and a clock to push."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint
from tests import world
from tests.cast import Cast
from worker.drivers.fake import WORLD, FakeTarget, fake_target
from worker.tasks import reconcile as tasks

Look = Callable[..., Deployment]


@pytest.fixture
def target() -> Iterator[FakeTarget]:
    WORLD.clear()
    yield fake_target("lab")
    WORLD.clear()


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool | None]:
    """What replicas of the fake target answer when they are asked for their health, by their address, where it is not
    that they are ready; None is silence. The fake has no network to be asked over."""
    answers: dict[str, bool | None] = {}
    monkeypatch.setattr(tasks, "is_ready", lambda address, secret, subject: answers.get(address, True))
    return answers


@pytest.fixture
def endpoint(cast: Cast, target: FakeTarget, health: dict[str, bool | None]) -> Endpoint:
    lab = world.target("lab", "fake")
    return world.endpoint(cast, target=lab)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def look(clock: time_machine.Traveller) -> Look:
    """Let time pass, then have the reconciler look once (or ``times`` times, with the pause before each)."""

    def once_more(deployment: Deployment, *, after: float = 3.0, times: int = 1) -> Deployment:
        for _ in range(times):
            clock.shift(timedelta(seconds=after))
            tasks.reconcile(deployment.pk)
        deployment.refresh_from_db()
        return deployment

    return once_more


@pytest.fixture
def built(cast: Cast, endpoint: Endpoint) -> Callable[..., Release]:
    """A release that Dana proposed, Rhea approved and the builder built."""

    def make(replicas: int = 1, **terms: Any) -> Release:
        version = world.ready_version(cast)
        dana = cast.actor("dana")
        release = releases.propose(actor=dana, version=version, endpoint=endpoint, replicas=replicas, **terms)
        releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
        build = releases.begin_build(Build.objects.get(release=release).pk)
        assert build is not None
        digest = f"sha256:{version.digest}"
        releases.finish_build(
            build,
            builder="fake",
            digest=digest,
            location=f"fake:{version.digest}",
            environment="fake:env",
            lock_digest="0" * 64,
            steps=[],
        )
        return release

    return make
