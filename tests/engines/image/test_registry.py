"""The registry lets us in in its own way, and nothing that it changed is ever started."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.certificates import Authority
from tests.engines.image.conftest import First
from tests.engines.registries import Registry, serve_registry
from tests.engines.token_services import serve_tokens
from worker.builders.image.client import RegistryClient, blob_of, digest_of
from worker.builders.image.verification import verify_stored
from worker.errors import ToolError
from worker.specs import RegistryAccess

DATA = b"weights" * 1000


def round_trip(access: RegistryAccess) -> None:
    """Everything that a build asks of a registry."""
    with RegistryClient(access) as client:
        assert client.upload_blob("slipway/runtimes", blob_of(DATA))
        assert not client.upload_blob("slipway/runtimes", blob_of(DATA))
        assert client.blob_size("slipway/models", digest_of(DATA)) is None
        assert client.mount_blob("slipway/models", digest_of(DATA), "slipway/runtimes")
        assert client.read_blob("slipway/models", digest_of(DATA)) == DATA
        assert client.get_manifest("slipway/models", "nothing") is None
        assert list(client.tags("slipway/nothing")) == []


def test_with_a_password_over_plain_http_on_this_machine() -> None:
    with serve_registry() as registry:
        round_trip(registry.access)


def test_over_tls_under_an_authority_of_ones_own() -> None:
    with serve_registry(authority=Authority()) as registry:
        round_trip(registry.access)
        with (
            pytest.raises(ToolError, match="SLIPWAY_REGISTRY_CA") as caught,
            RegistryClient(replace(registry.access, ca_file="")) as client,
        ):
            client.blob_size("slipway/models", digest_of(DATA))
        assert caught.value.kind == "registry_tls"


def test_with_tokens_that_another_service_gives(tmp_path: Path) -> None:
    with serve_tokens(tmp_path) as tokens, serve_registry(auth=tokens.auth) as registry:
        round_trip(registry.access)
        orders = ("pull,push", "push,pull")  # the registry names both in any order
        assert {f"repository:slipway/models:{order}" for order in orders} & set(tokens.asked)
        with (
            pytest.raises(ToolError, match="gives no token") as caught,
            RegistryClient(replace(registry.access, password="wrong")) as client,
        ):
            client.blob_size("slipway/models", digest_of(DATA))
        assert (caught.value.kind, caught.value.permanent) == ("registry_denied", True)


def test_a_wrong_password_is_said_and_not_shown(registry: Registry) -> None:
    access = replace(registry.access, password="canary")
    with pytest.raises(ToolError, match="does not let us") as caught, RegistryClient(access) as client:
        client.blob_size("slipway/models", digest_of(DATA))
    assert (caught.value.kind, caught.value.permanent) == ("registry_denied", True)
    assert "canary" not in str(caught.value)


def test_a_registry_that_is_away_may_come_back() -> None:
    with serve_registry() as registry:
        registry.stop()
        with pytest.raises(ToolError, match="does not answer") as caught, RegistryClient(registry.access) as client:
            client.blob_size("slipway/models", digest_of(DATA))
        assert (caught.value.kind, caught.value.permanent) == ("registry", False)


def test_bytes_that_are_not_those_of_the_digest_are_not_taken(registry: Registry) -> None:
    blob = replace(blob_of(DATA), read=lambda: iter((DATA[:-1] + b"x",)))
    with RegistryClient(registry.access) as client:
        with pytest.raises(ToolError, match="DIGEST_INVALID"):
            client.upload_blob("slipway/flipped", blob)
        assert client.blob_size("slipway/flipped", blob.digest) is None


@pytest.fixture
def parts(first: First, registry: Registry) -> dict[str, str]:
    """The digests of an image's manifest, config and model layer."""
    with RegistryClient(registry.access) as client:
        found = client.get_manifest("slipway/models", first.result.digest)
        assert found is not None
    manifest = json.loads(found[0])
    layer = manifest["layers"][-1]["digest"]
    return {"manifest": first.result.digest, "config": manifest["config"]["digest"], "layer": layer}


@pytest.fixture
def flipped(request: pytest.FixtureRequest, parts: dict[str, str], registry: Registry) -> Iterator[str]:
    """One digit of one part is another in the registry's own files, for the length of a test."""
    digest = parts[request.param]
    path = registry.blob(digest)
    good = path.read_bytes()
    place = next(index for index in range(len(good) // 2, len(good)) if good[index : index + 1].isdigit())
    path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    yield digest
    path.write_bytes(good)
    assert hashlib.sha256(good).hexdigest() == digest.removeprefix("sha256:")


@pytest.mark.parametrize("flipped", ["manifest", "config", "layer"], indirect=True)
def test_one_flipped_byte_in_the_registry_is_refused_before_a_start(
    flipped: str, first: First, registry: Registry
) -> None:
    with pytest.raises(ToolError, match="gives other bytes") as caught:
        verify_stored(registry.access, first.result.location)
    assert (caught.value.kind, caught.value.permanent) == ("digest_mismatch", True)
    assert flipped[:19] in str(caught.value)


def test_an_image_that_the_registry_has_no_more_is_said_so(first: First, registry: Registry) -> None:
    gone = f"{registry.address}/slipway/models@sha256:{'0' * 64}"
    with pytest.raises(ToolError, match="no image sha256:0000") as caught:
        verify_stored(registry.access, gone)
    assert caught.value.kind == "image_missing"
    with pytest.raises(ToolError, match="SLIPWAY_REGISTRY_URL names"):
        verify_stored(registry.access, f"elsewhere.example/slipway/models@{first.result.digest}")
