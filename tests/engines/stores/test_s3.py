"""The promises of the artifact store on a real S3 service, where the usual run has a stand-in."""

import hashlib
import os
from io import BytesIO
from pathlib import Path

import boto3
import pytest
from pytest_django import Settings

from apps.audit.copies import second_place
from apps.core.errors import Missing, Unavailable
from apps.library.store import Store, multipart, open_store
from tests.engines.buckets import S3
from tests.library.conftest import own_disk  # noqa: F401 - a fixture
from tests.library.test_store import *  # noqa: F403 - the whole suite, on the store below


@pytest.fixture
def store(bucket: Store) -> Store:
    return bucket


def test_a_service_that_is_away_is_unavailable_and_nothing_is_lost(
    service: S3, bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(multipart.PART + 1)
    with bucket.draft("one", len(data)) as draft:
        draft.append(data[: multipart.PART])
        draft.flush()
    service.stop()
    try:
        with pytest.raises(Unavailable), bucket.draft("one", len(data)):
            pass
        with pytest.raises(Unavailable):
            bucket.put(BytesIO(data))
    finally:
        service.start()
    with bucket.draft("one", len(data)) as draft:
        assert draft.end == multipart.PART
        draft.append(data[multipart.PART :])
        draft.flush()
        stored = draft.seal()
        draft.publish(stored)
    bucket.discard("one")
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert bucket.fetch_verified(stored.sha256, tmp_path).read_bytes() == data


def test_wrong_keys_are_told(bucket: Store, service: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    open_store.cache_clear()
    with pytest.raises(Unavailable, match="Forbidden"):
        open_store("s3://models/team").put(BytesIO(b"weights"))
    open_store.cache_clear()


def test_what_is_not_there_is_missing(bucket: Store, tmp_path: Path) -> None:
    with pytest.raises(Missing):
        bucket.fetch("0" * 64, tmp_path)


def test_signed_checkpoints_of_the_log_go_into_a_bucket(bucket: Store, settings: Settings) -> None:
    settings.SLIPWAY_AUDIT_CHECKPOINTS = "s3://models/log"
    place = second_place()
    assert place is not None
    for _again in range(2):
        place.put("000000000001-ab.note", "signed")
    assert list(place.names()) == ["000000000001-ab.note"]
    assert place.get("000000000001-ab.note") == "signed"
    settings.SLIPWAY_AUDIT_CHECKPOINTS = "s3://nowhere/log"
    with pytest.raises(Unavailable, match="nowhere"):
        list(second_place().names())  # type: ignore[union-attr]
