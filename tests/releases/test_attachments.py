"""What a build of an image leaves: shown with the release, and there to take along."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import StateConflict
from apps.releases import selectors
from apps.releases import services as releases
from apps.releases.models import Build, Release
from tests import world
from tests.cast import Cast
from worker.builders.image.provenance import make_statement, resource, sign
from worker.tasks.live_log import LiveLog

DIGEST = f"sha256:{'d' * 64}"
LOCATION = f"registry.example/slipway/models@{DIGEST}"


@pytest.fixture
def running(cast: Cast) -> Build:
    release = releases.propose(
        actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=world.endpoint(cast)
    )
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    build = releases.begin_build(release.builds.get().pk)
    assert build is not None
    return build


@pytest.fixture
def built(running: Build) -> Build:
    return releases.finish_build(
        running, builder="image", digest=DIGEST, location=LOCATION, environment="", lock_digest="1" * 64, steps=[],
        attachments=attachments(), log="Successfully installed numpy",
    )  # fmt: skip


def attachments() -> dict[str, Any]:
    library = {"type": "library", "name": "numpy", "version": "2.2.0", "licenses": [{"license": {"name": "BSD"}}]}
    statement = make_statement(
        name="registry.example/slipway/models", digest=DIGEST, external={}, times={},
        dependencies=[resource("python:3.11-slim", "c" * 64)], byproducts=[],
    )  # fmt: skip
    return {"sbom": {"components": [library]}, "provenance": sign(statement, settings.SLIPWAY_BUILD_KEYS[0])}


def look(cast: Cast, name: str, release: Release, *args: object) -> Any:
    client = Client()
    client.force_login(cast.user("vic"), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client.get(reverse(name, args=[cast.project.slug, release.pk, *args]))


def test_the_release_shows_what_went_into_its_image(cast: Cast, built: Build) -> None:
    text = look(cast, "deployments:release_progress", built.release).content.decode()
    assert LOCATION in text
    assert "python:3.11-slim" in text
    assert "2.2.0" in text
    assert "BSD" in text
    assert "Successfully installed numpy" in text


@pytest.mark.parametrize("part", ["sbom", "provenance"])
def test_a_document_can_be_taken_along_as_it_was_stored(cast: Cast, built: Build, part: str) -> None:
    answer = look(cast, f"releases:build_{part}", built.release, built.pk)
    assert json.loads(answer.content) == built.attachments[part]
    assert answer.headers["Content-Disposition"].startswith("attachment; ")


def test_the_provenance_can_be_checked_with_the_keys_beside_it(cast: Cast, built: Build) -> None:
    envelope = json.loads(look(cast, "releases:build_provenance", built.release, built.pk).content)
    key = load_pem_public_key(look(cast, "releases:build_keys", built.release, built.pk).content)
    assert isinstance(key, Ed25519PublicKey)
    payload = base64.b64decode(envelope["payload"])
    head = f"DSSEv1 {len(envelope['payloadType'])} {envelope['payloadType']} {len(payload)} "
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), head.encode() + payload)


def test_no_page_gives_out_the_private_key(cast: Cast, built: Build) -> None:
    text = look(cast, "releases:build_keys", built.release, built.pk).content.decode()
    assert "PRIVATE" not in text
    assert Ed25519PrivateKey.from_private_bytes(settings.SLIPWAY_BUILD_KEYS[0]).private_bytes_raw().hex() not in text


def test_a_build_that_left_nothing_has_nothing_to_take_along(cast: Cast, running: Build) -> None:
    assert look(cast, "releases:build_sbom", running.release, running.pk).status_code == 404
    assert look(cast, "releases:build_sbom", running.release, running.pk + 1).status_code == 404


def test_a_list_of_releases_does_not_read_what_lies_beside_images(cast: Cast, built: Build) -> None:
    (release,) = selectors.releases(cast.actor("vic"), cast.project)
    assert {"attachments", "log"} <= release.builds.all()[0].get_deferred_fields()


def test_the_log_of_a_running_build_is_on_its_page_while_it_grows(
    cast: Cast, running: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.tasks.live_log._EVERY_SECONDS", 0.0)
    lease = running.lease_until
    LiveLog(running)("Collecting numpy==2.2.0")
    assert "Collecting numpy==2.2.0" in look(cast, "deployments:release_progress", running.release).content.decode()
    running.refresh_from_db()
    assert running.lease_until > lease > timezone.now()


def test_a_log_holds_neither_passwords_nor_control_characters(running: Build, settings: Any) -> None:
    settings.SLIPWAY_INDEX_URL = "https://me:p%40ss@index.example/simple"
    settings.SLIPWAY_REGISTRY_URL = "https://slipway:canary@registry.example/slipway"
    log = LiveLog(running)
    log("Looking in https://me:p%40ss@index.example/simple, p@ss, canary\x1b[2J\x00")
    assert log.text == "Looking in https://me:***@index.example/simple, ***, *** [2J \n"
    assert log.text_with("ERROR: canary").endswith("ERROR: ***\n")


def test_a_build_that_was_taken_over_stops_at_its_next_line(running: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.tasks.live_log._EVERY_SECONDS", 0.0)
    Build.objects.update(fence=running.fence + 1)
    with pytest.raises(StateConflict):
        LiveLog(running)("step packages")
