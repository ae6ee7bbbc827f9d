"""Every kind of store keeps the same promises: all or nothing, named by digest, never changed."""

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from apps.core.errors import Missing, StateConflict, Unavailable
from apps.library import partial
from apps.library.store import DamagedArtifact, Store, copying, multipart, open_store, tally
from apps.library.store.base import key_of

DATA = b"weights" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


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
    path.write_bytes(os.urandom(1 << 20) * (multipart.PART * 2 // (1 << 20) + 1))
    stored = bucket.put(path)
    head = bucket.client.head_object(Bucket="models", Key=f"team/{key_of(stored.sha256)}")  # type: ignore[attr-defined]
    assert head["ETag"].endswith('-3"')
    assert bucket.fetch_verified(stored.sha256, tmp_path).stat().st_size == stored.size


def test_a_place_is_made_by_the_first_preparation_and_left_alone_by_the_next(store: Store, bucket: Store) -> None:
    store.prepare()
    kept = store.put(io.BytesIO(DATA))
    store.prepare()
    assert store.exists(kept.sha256)
    new = open_store("s3://new/")
    new.prepare()
    assert new.put(io.BytesIO(DATA)) == kept


def test_a_bucket_that_is_not_there_is_unavailable(bucket: Store) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        open_store("s3://nowhere/").put(io.BytesIO(DATA))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_digests_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        open_store(f"file://{tmp_path}/artifacts").open(name)


FIVE = 5 << 20  # the least that S3 takes as a part
BLOCK = os.urandom(1 << 20)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "PART", FIVE)


def feed(store: Store, name: str, blocks: int, *, size: int = 1 << 30) -> int:
    """Append so many mebibytes, as one connection would; where the draft ends then."""
    with store.draft(name, size) as draft:
        for _block in range(blocks):
            draft.append(BLOCK)
        draft.flush()
        return draft.end


def finish(store: Store, name: str) -> str:
    with store.draft(name, 1 << 30) as draft:
        stored = draft.seal()
        draft.publish(stored)
    store.discard(name)
    return stored.sha256


def held_bytes() -> int:
    return sum(path.stat().st_size for path in partial.folder().iterdir())


def test_a_draft_becomes_an_artifact_and_leaves_nothing(store: Store, small_parts: None, tmp_path: Path) -> None:
    assert [feed(store, "one", 3), feed(store, "one", 4), feed(store, "one", 6)] == [3 << 20, 7 << 20, 13 << 20]
    assert not list(store.list_kept())
    digest = finish(store, "one")
    assert digest == hashlib.sha256(BLOCK * 13).hexdigest()
    assert store.fetch_verified(digest, tmp_path).stat().st_size == 13 << 20
    assert ([kept.sha256 for kept in store.list_kept()], list(store.drafts()), held_bytes()) == ([digest], [], 0)


def test_a_draft_is_hashed_again_when_the_process_was_another(store: Store, small_parts: None) -> None:
    feed(store, "one", 7)
    tally.forget("one")  # what a restart does
    feed(store, "one", 2)
    assert finish(store, "one") == hashlib.sha256(BLOCK * 9).hexdigest()


def test_bytes_that_were_not_flushed_can_be_taken_back(store: Store, small_parts: None) -> None:
    feed(store, "one", 6)
    with store.draft("one", 1 << 30) as draft:
        draft.append(b"?" * (FIVE + 1))
        assert draft.cut(6 << 20) == 6 << 20
        draft.append(BLOCK)
        draft.flush()
    assert finish(store, "one") == hashlib.sha256(BLOCK * 7).hexdigest()


def test_one_connection_at_a_time_has_a_draft(store: Store) -> None:
    with store.draft("one", 10), pytest.raises(StateConflict, match="Another connection"), store.draft("one", 10):
        pass


def test_a_discarded_draft_is_gone_from_everywhere(store: Store, small_parts: None) -> None:
    feed(store, "one", 7)
    assert "one" in set(store.drafts())
    store.discard("one")
    store.discard("one")
    assert (list(store.drafts()), held_bytes()) == ([], 0)
    with store.draft("one", 10) as draft:
        assert draft.end == 0


def test_a_bucket_takes_parts_while_they_arrive_and_the_disk_only_the_rest(bucket: Store, small_parts: None) -> None:
    feed(bucket, "one", 13)
    assert held_bytes() == 3 << 20
    with bucket.draft("one", 1 << 30) as draft:
        assert [part.size for part in draft.parts] == [FIVE, FIVE]  # type: ignore[attr-defined]
    bucket.discard("one")


def test_a_lost_tail_is_asked_for_again_from_where_the_parts_end(bucket: Store, small_parts: None) -> None:
    feed(bucket, "one", 13)
    partial.discard("one")  # another host, or a new disk
    with bucket.draft("one", 1 << 30) as draft:
        assert draft.cut(13 << 20) == 10 << 20
    feed(bucket, "one", 3)
    assert finish(bucket, "one") == hashlib.sha256(BLOCK * 13).hexdigest()


def test_a_tail_of_other_parts_is_never_glued_on(bucket: Store, small_parts: None) -> None:
    feed(bucket, "one", 7)
    (partial.tail_of("one", 5 << 20)).rename(partial.tail_of("one", 0))
    with bucket.draft("one", 1 << 30) as draft:
        assert draft.end == 5 << 20
    bucket.discard("one")


@pytest.mark.parametrize("broken", ["complete_multipart_upload", "copy_object", "upload_part"])
def test_a_bucket_that_fails_on_the_way_is_asked_again_later(
    bucket: Store, small_parts: None, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(bucket, "one", 7)

    def fail(*_args: object, **_named: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://bucket")

    with monkeypatch.context() as away, pytest.raises(Unavailable):
        away.setattr(bucket.client, broken, fail)  # type: ignore[attr-defined]
        finish(bucket, "one")
    assert finish(bucket, "one") == hashlib.sha256(BLOCK * 7).hexdigest()


def test_a_part_that_somebody_else_replaced_is_noticed(bucket: Store, small_parts: None) -> None:
    feed(bucket, "one", 10)
    with bucket.draft("one", 1 << 30) as draft:
        bucket.client.upload_part(**draft._upload(), PartNumber=2, Body=b"!" * FIVE)  # type: ignore[attr-defined]
        with pytest.raises(ClientError, match="InvalidPart"):
            draft.seal()
    assert finish(bucket, "one") == hashlib.sha256(BLOCK * 5 + b"!" * FIVE).hexdigest()


def test_what_one_call_cannot_copy_is_copied_in_parts(
    bucket: Store, small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PART", FIVE)
    feed(bucket, "one", 11)
    digest = finish(bucket, "one")
    assert digest == hashlib.sha256(BLOCK * 11).hexdigest()
    assert bucket.fetch_verified(digest, tmp_path).stat().st_size == 11 << 20


def test_large_uploads_have_large_parts(bucket: Store) -> None:
    with bucket.draft("one", 1 << 40) as draft:
        assert draft.part_bytes * multipart.MAX_PARTS >= 1 << 40  # type: ignore[attr-defined]


def test_bytes_are_read_from_the_middle(store: Store) -> None:
    store.put(io.BytesIO(DATA))
    with store.open(DIGEST, 6990) as stream:
        assert stream.read() == DATA[6990:]
