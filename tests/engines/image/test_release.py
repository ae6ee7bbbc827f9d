"""From approval to a start by the tasks themselves; a byte changed anywhere on the way keeps the release from starting.

The target's driver is the fake one: what is tried here is over before a host is asked.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.deployments.models import Deployment
from apps.library.models import Artifact, ModelVersion, VersionFile
from apps.library.store import get_store
from apps.releases import services as releases
from apps.releases.models import Build, Release
from tests import world
from tests.cast import Cast
from tests.engines.image.conftest import First
from tests.engines.image.making import NOWHERE, SERVING
from tests.engines.registries import Registry
from tests.worker.builders.making import GOLDEN
from worker.builders.image.client import RegistryClient
from worker.drivers.fake import WORLD, FakeDriver, fake_target
from worker.drivers.registry import DRIVERS
from worker.tasks.build import build as build_task
from worker.tasks.reconcile import reconcile


@pytest.fixture(autouse=True)
def installation(
    settings: Any, registry: Registry, queue: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A registry with the packages in it, no build host, and a target of kind docker that keeps its world in a dict."""
    settings.SLIPWAY_REGISTRY_URL, settings.SLIPWAY_BUILD_HOST = registry.url, NOWHERE
    monkeypatch.setitem(DRIVERS, "docker", lambda target, home: FakeDriver(target.name, home))
    WORLD.clear()
    yield
    WORLD.clear()


@pytest.fixture
def release(cast: Cast, first: First) -> Release:
    """An approved release of the model that doubles, its bytes in the store, for a Docker host."""
    version = world.ready_version(cast, "double", requirements=list(SERVING), golden=GOLDEN)
    shape = {"shape": [-1, 2], "datatype": "FP32"}
    signature = {"inputs": [{"name": "x", **shape}], "outputs": [{"name": "y", **shape}]}
    ModelVersion.objects.filter(pk=version.pk).update(signature=signature)
    stored = get_store().put(first.spec.file.path)
    artifact, _is_new = Artifact.objects.get_or_create(sha256=stored.sha256, defaults={"size": stored.size})
    VersionFile.objects.filter(version=version).update(artifact=artifact)
    version.refresh_from_db()
    endpoint = world.endpoint(cast, target=world.target("gpu-host", "docker"))
    row = releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint)
    return releases.approve(actor=cast.actor("rhea"), release=row, subject=row.subject)


def built(release: Release) -> Build:
    build = release.builds.get()
    build_task(build.pk)
    build.refresh_from_db()
    return build


def started(release: Release) -> Deployment:
    """What the end of the build has started, after the first look at it."""
    deployment = release.deployments.get()
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    return deployment


def test_an_approved_release_becomes_an_image_and_is_started_by_its_digest(
    release: Release, registry: Registry
) -> None:
    build = built(release)
    assert (build.state, build.builder, build.environment) == ("done", "image", "")
    assert build.location == f"{registry.address}/slipway/models@{build.digest}"
    assert "step assemble" in build.log
    assert started(release).failure_kind == ""
    (line,) = (line for lines in fake_target("gpu-host").lines.values() for line in lines)
    assert line == f"serving {build.location}"


def test_a_flipped_byte_of_the_provenance_is_refused_before_the_start(release: Release) -> None:
    build = built(release)
    envelope = build.attachments["provenance"]
    payload = base64.b64decode(envelope["payload"]).replace(b'"double"', b'"bouble"')
    envelope["payload"] = base64.b64encode(payload).decode()
    build.save()
    kind, message = refused(release)
    assert kind == "provenance_invalid"
    assert message.startswith("The provenance of the image is not signed by a key of this installation")


def test_a_flipped_byte_in_the_registry_is_refused_before_the_start(release: Release, registry: Registry) -> None:
    build = built(release)
    with RegistryClient(registry.access) as client:
        manifest = client.get_manifest("slipway/models", build.digest)
        assert manifest is not None
    path = registry.blob(json.loads(manifest[0])["layers"][-1]["digest"])
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"\x01")
    try:
        kind, message = refused(release)
    finally:
        path.write_bytes(good)
    assert kind == "digest_mismatch"
    assert "gives other bytes" in message


def test_a_flipped_byte_of_the_stored_model_is_refused_before_it_is_built(release: Release) -> None:
    served = VersionFile.objects.get(version=release.version, is_served=True)
    path = get_store().fetch(served.artifact_id, get_store().root)  # type: ignore[attr-defined]
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])
    try:
        build = built(release)
    finally:
        path.write_bytes(good)
    assert (build.state, build.failure_kind) == ("failed", "artifact")
    assert "is damaged" in str(build.failure)


def refused(release: Release) -> tuple[str, str]:
    """How the start ended, in a word and in a sentence; nothing has reached the target."""
    deployment = started(release)
    assert deployment.phase == Deployment.Phase.FAILED
    assert fake_target("gpu-host").lines == {}
    return deployment.failure_kind, deployment.failure["text"]
