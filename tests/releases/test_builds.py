"""The end of a build, and what comes of it."""

import io
from collections.abc import Iterator

import pytest

from apps.deployments.models import Deployment
from apps.library.models import Artifact, VersionFile
from apps.library.store import get_store
from apps.releases import services as releases
from apps.releases.models import Build
from apps.targets.models import Environment
from tests import world
from tests.cast import Cast
from worker.builders import fake
from worker.errors import ToolError
from worker.tasks.build import build as build_task


@pytest.fixture
def build(cast: Cast) -> Iterator[Build]:
    """Approved, and due to be built by the fake builder."""
    fake.forget_all()
    stored = get_store().put(io.BytesIO(b"a model"))
    artifact = Artifact.objects.create(sha256=stored.sha256, size=stored.size)
    version, endpoint = world.ready_version(cast), world.endpoint(cast, target=world.target("lab", "fake"))
    VersionFile.objects.filter(version=version).update(artifact=artifact)
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint)
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    yield release.builds.get()
    fake.forget_all()


@pytest.mark.parametrize("by_itself", [True, False])
def test_what_was_built_is_started_at_once_where_the_environment_says_so(build: Build, by_itself: bool) -> None:
    Environment.objects.update(starts_by_itself=by_itself)
    build_task(build.pk)
    build.refresh_from_db()
    assert build.state == "done"
    assert list(Deployment.objects.values_list("release")) == [(build.release_id,)] * by_itself


def test_what_could_not_be_built_is_not_started(build: Build) -> None:
    fake.WORLD.error = ToolError("the disk is full", kind="disk", permanent=True)
    build_task(build.pk)
    build.refresh_from_db()
    assert (build.state, build.failure_kind) == ("failed", "disk")
    assert not Deployment.objects.exists()
