"""Images go when their release can never be started again; whatever may still be needed stays."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.releases import services as releases
from apps.releases.models import Build, Release
from tests import world
from tests.cast import Cast
from tests.engines.image.conftest import First
from tests.engines.image.making import retrained, settings_for
from tests.engines.registries import Registry
from worker.builders.image.builder import ImageBuilder
from worker.builders.image.client import RegistryClient
from worker.specs import BuildResult


@pytest.fixture(autouse=True)
def installation(settings: Any, registry: Registry) -> None:
    settings.SLIPWAY_REGISTRY_URL = registry.url
    settings.SLIPWAY_REGISTRY_CA = registry.ca_file


@pytest.fixture
def live(cast: Cast, first: First) -> Build:
    """The build of a release that is approved."""
    return built(cast, "digits", first.result)


@pytest.fixture
def other(cast: Cast, first: First, registry: Registry, tmp_path: Path) -> Build:
    """The build of another approved release, on the same packages."""
    result = ImageBuilder(settings_for(registry)).build(retrained(first.spec, tmp_path), first.home)
    return built(cast, "wine", result)


@pytest.fixture
def withdrawn(cast: Cast, other: Build) -> Build:
    """That one, taken back."""
    releases.withdraw(actor=cast.actor("omar"), release=other.release)
    return other


def built(cast: Cast, model: str, result: BuildResult) -> Build:
    release: Release = releases.propose(
        actor=cast.actor("dana"), version=world.ready_version(cast, model), endpoint=world.endpoint(cast)
    )
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    build = releases.begin_build(release.builds.get().pk)
    assert build is not None
    done = releases.finish_build(
        build, builder="image", digest=result.digest, location=result.location, environment="", lock_digest="",
        steps=[], attachments=dict(result.attachments),
    )  # fmt: skip
    Build.objects.filter(pk=done.pk).update(finished_at=timezone.now() - timedelta(days=2))
    return done


def prune(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("prune", *words)
    return capsys.readouterr().out


def is_there(registry: Registry, repository: str, digest: str) -> bool:
    with RegistryClient(registry.access) as client:
        return client.get_manifest(f"slipway/{repository}", digest) is not None


def test_a_dry_run_lists_and_the_real_one_removes_what_nothing_needs(
    live: Build, withdrawn: Build, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = prune(capsys, "--dry-run")
    assert withdrawn.digest in listed
    assert live.digest not in listed
    assert "would be removed" in listed
    assert is_there(registry, "models", withdrawn.digest)
    assert "images" in prune(capsys)
    assert not is_there(registry, "models", withdrawn.digest)
    assert is_there(registry, "models", live.digest)
    assert withdrawn.digest not in prune(capsys, "--dry-run")


def test_the_packages_of_an_image_that_stays_stay(
    live: Build, first: First, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    prune(capsys)
    (note,) = (first.home / "runtimes").glob("*.json")
    assert is_there(registry, "runtimes", note.stem)


def test_what_was_built_within_the_grace_time_stays(
    live: Build, withdrawn: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    assert withdrawn.digest not in prune(capsys, "--dry-run", "--grace-hours=72")


def test_nothing_is_removed_while_a_build_is_on_its_way(
    cast: Cast, live: Build, withdrawn: Build, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    Build.objects.create(release=live.release)
    assert "A build is on its way" in prune(capsys)
    assert is_there(registry, "models", withdrawn.digest)


def test_what_still_runs_stays_whatever_became_of_its_release(
    cast: Cast, live: Build, other: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    row = other.release
    row.deployments.create(project=row.project, endpoint=row.endpoint, build=other, target=row.target)
    releases.withdraw(actor=cast.actor("omar"), release=row)
    assert other.digest not in prune(capsys, "--dry-run")


def test_a_registry_that_does_not_answer_is_said_in_a_sentence(live: Build, settings: Any) -> None:
    settings.SLIPWAY_REGISTRY_URL = "http://127.0.0.1:9/slipway"
    with pytest.raises(CommandError, match="does not answer"):
        call_command("prune")
