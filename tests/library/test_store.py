"""Every kind of store keeps the same promises: all or nothing, named by digest, never changed."""

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from apps.core.errors import Missing, Unavailable
from apps.library.store import DamagedArtifact, Store, open_store
from apps.library.store import bucket as bucket_store
from apps.library.store.base import key_of

DATA = b"weights" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    open_store.cache_clear()
    store = open_store("s3://models/team/one")
    store.client.create_bucket(Bucket="models")  # type: ignore[attr-defined]
    return store


@pytest.fixture(params=["disk", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "bucket":
        return request.getfixturevalue("bucket")
    return open_store(f"file://{tmp_path}/artifacts")


def test_bytes_come_back_under_their_digest(store: Store, tmp_path: Path) -> None:
    stored = store.put(io.BytesIO(DATA))
    assert (stored.sha256, stored.size) == (DIGEST, len(DATA))
    with store.open(DIGEST) as stream:
        assert stream.read() == DATA
    assert store.fetch_verified(DIGEST, tmp_path).read_bytes() == DATA


def test_storing_twice_is_harmless(store: Store) -> None:
    assert store.put(io.BytesIO(DATA)) == store.put(io.BytesIO(DATA))


def test_an_adopted_file_outlives_its_first_name(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "upload.part"
    path.write_bytes(DATA)
    store.adopt(path)
    assert store.adopt(path).sha256 == DIGEST  # after a crash between storing and recording
    path.unlink()
    assert store.fetch(DIGEST, tmp_path).read_bytes() == DATA


def test_what_was_deleted_is_missing_and_can_be_deleted_again(store: Store, tmp_path: Path) -> None:
    store.put(io.BytesIO(DATA))
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert not store.exists(DIGEST)
    with pytest.raises(Missing):
        store.open(DIGEST)
    with pytest.raises(Missing):
        store.fetch(DIGEST, tmp_path)


def test_a_flipped_byte_is_found_before_the_file_is_used(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/artifacts")
    store.put(io.BytesIO(DATA))
    path = tmp_path / "artifacts" / key_of(DIGEST)
    path.chmod(0o640)
    path.write_bytes(b"W" + DATA[1:])
    with pytest.raises(DamagedArtifact):
        store.fetch_verified(DIGEST, tmp_path)
    store.put(io.BytesIO(DATA))
    assert store.fetch_verified(DIGEST, tmp_path) == path


def test_files_on_disk_are_read_only_and_not_copied(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/artifacts")
    store.put(io.BytesIO(DATA))
    path = store.fetch(DIGEST, tmp_path)
    assert path == tmp_path / "artifacts" / "sha256" / DIGEST[:2] / DIGEST
    assert path.stat().st_mode & 0o777 == 0o440


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    store = open_store(f"file://{tmp_path}/artifacts")
    with pytest.raises(Unavailable, match="full"):
        store.put(io.BytesIO(DATA))
    assert not store.exists(DIGEST)
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_large_files_go_into_a_bucket_in_parts(bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(1 << 20) * (bucket_store.PART * 2 // (1 << 20) + 1))
    stored = bucket.put(path)
    head = bucket.client.head_object(Bucket="models", Key=f"team/one/{key_of(stored.sha256)}")  # type: ignore[attr-defined]
    assert head["ETag"].endswith('-3"')
    assert bucket.fetch_verified(stored.sha256, tmp_path).stat().st_size == stored.size


def test_a_bucket_that_is_not_there_is_unavailable(bucket: Store) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        open_store("s3://nowhere/").put(io.BytesIO(DATA))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_digests_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        open_store(f"file://{tmp_path}/artifacts").open(name)
