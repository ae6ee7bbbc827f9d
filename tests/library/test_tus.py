"""Resumable uploads: tus to the letter, nothing lost, nothing leaked, refused before it is sent."""

import base64
import errno
import hashlib
import os
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from apps.audit.models import Entry
from apps.core.errors import StateConflict
from apps.library import partial, quota
from apps.library import services as library
from apps.library.models import Artifact, Upload
from apps.library.store import get_store
from tests.cast import Cast

DATA = random.Random(7).randbytes(300_000)


def metadata(**facts: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in facts.items())


def begin(client: APIClient, size: int = len(DATA), name: str = "digits.onnx", **facts: str) -> Any:
    told = metadata(filename=name, project="digits-team", **facts)
    return client.post("/api/v1/uploads/", headers={**RESUMABLE, "Upload-Length": str(size), "Upload-Metadata": told})


RESUMABLE = {"Tus-Resumable": "1.0.0"}


def send(client: APIClient, address: str, offset: int, data: bytes, **headers: str) -> Any:
    return client.generic(
        "PATCH",
        address,
        data,  # type: ignore[arg-type]
        content_type="application/offset+octet-stream",
        headers={**RESUMABLE, "Upload-Offset": str(offset), **headers},
        CONTENT_LENGTH=str(len(data)),
        CONTENT_TYPE="application/offset+octet-stream",
    )


@pytest.fixture
def dana(api: Callable[[str], APIClient]) -> APIClient:
    return api("dana")


@pytest.fixture
def address(dana: APIClient) -> str:
    return begin(dana)["Location"]


def parts() -> list[Path]:
    return list(partial.folder().iterdir())


def test_the_server_says_what_it_speaks(dana: APIClient) -> None:
    answer = dana.options("/api/v1/uploads/")
    assert answer.status_code == 204
    assert answer["Tus-Version"] == answer["Tus-Resumable"] == "1.0.0"
    assert {"creation", "termination", "checksum"} <= set(answer["Tus-Extension"].split(","))
    assert answer["Tus-Checksum-Algorithm"] == "sha1,sha256"


def test_bytes_become_an_artifact_when_all_are_in(dana: APIClient, address: str) -> None:
    assert send(dana, address, 0, DATA[:100_000])["Upload-Offset"] == "100000"
    head = dana.head(address, headers=RESUMABLE)
    assert (head["Upload-Offset"], head["Upload-Length"], head["Cache-Control"]) == ("100000", "300000", "no-store")
    answer = send(dana, address, 100_000, DATA[100_000:])
    assert (answer.status_code, answer["Upload-Offset"]) == (204, "300000")
    upload = Upload.objects.get()
    assert upload.state == "complete"
    assert upload.artifact_id == hashlib.sha256(DATA).hexdigest()
    with get_store().open(upload.artifact_id) as stream:
        assert stream.read() == DATA
    assert parts() == []
    assert [entry.action for entry in Entry.objects.order_by("seq")] == ["upload.created", "upload.completed"]


def test_another_version_of_the_protocol_is_refused(dana: APIClient, address: str) -> None:
    answer = dana.head(address, headers={"Tus-Resumable": "0.2.2"})
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")


def test_a_wrong_offset_is_a_conflict_and_changes_nothing(dana: APIClient, address: str) -> None:
    send(dana, address, 0, DATA[:1000])
    for offset in (0, 999, 1001):
        answer = send(dana, address, offset, DATA[offset : offset + 10])
        assert answer.status_code == 409
    assert dana.head(address, headers=RESUMABLE)["Upload-Offset"] == "1000"


def test_pieces_have_their_own_content_type(dana: APIClient, address: str) -> None:
    answer = dana.generic("PATCH", address, "x", "text/plain", headers={**RESUMABLE, "Upload-Offset": "0"})
    assert answer.status_code == 415


def test_more_bytes_than_announced_are_refused(dana: APIClient, address: str) -> None:
    assert send(dana, address, 0, DATA + b"!").status_code == 413
    assert dana.head(address, headers=RESUMABLE)["Upload-Offset"] == "0"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_piece_with_another_checksum_is_dropped(dana: APIClient, address: str, algorithm: str) -> None:
    good = base64.b64encode(hashlib.new(algorithm, DATA[:1000]).digest()).decode()
    bad = {"Upload-Checksum": f"{algorithm} {good}"}
    assert send(dana, address, 0, b"?" + DATA[1:1000], **bad).status_code == 460
    assert dana.head(address, headers=RESUMABLE)["Upload-Offset"] == "0"
    assert send(dana, address, 0, DATA[:1000], **bad).status_code == 204


@pytest.mark.parametrize("header", ["md5 AAAA", "sha256 ???", "sha256"])
def test_a_checksum_that_cannot_be_is_malformed(dana: APIClient, address: str, header: str) -> None:
    answer = send(dana, address, 0, DATA[:10], **{"Upload-Checksum": header})
    assert answer.status_code in (400, 460)


def test_a_file_that_differs_from_its_announced_digest_is_dropped(dana: APIClient) -> None:
    address = begin(dana, sha256=hashlib.sha256(b"other").hexdigest())["Location"]
    assert send(dana, address, 0, DATA).status_code == 422
    assert Upload.objects.get().state == "cancelled"
    assert Artifact.objects.count() == 0


def test_a_method_may_be_named_in_a_header(dana: APIClient, address: str) -> None:
    answer = dana.generic(
        "POST",
        address,
        DATA,  # type: ignore[arg-type]
        content_type="application/offset+octet-stream",
        headers={**RESUMABLE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"},
    )
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("size", "name", "status", "says"),
    [
        (0, "digits.onnx", 422, "empty"),
        (settings.SLIPWAY_UPLOAD_MAX_BYTES + 1, "digits.onnx", 413, "at most"),
        (10, "../digits.onnx", 422, "name of a file"),
        (10, "", 422, "name of a file"),
    ],
)
def test_what_could_never_be_kept_is_refused_before_it_is_sent(
    dana: APIClient, size: int, name: str, status: int, says: str
) -> None:
    answer = begin(dana, size, name)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert Upload.objects.count() == 0


@pytest.mark.parametrize("header", ["filename ???", "filename /w==", "project,,"])
def test_damaged_metadata_is_malformed_or_incomplete(dana: APIClient, header: str) -> None:
    answer = dana.post("/api/v1/uploads/", headers={**RESUMABLE, "Upload-Length": "1", "Upload-Metadata": header})
    assert answer.status_code in (400, 404)


def test_a_quota_is_reserved_up_front_and_exact(cast: Cast, dana: APIClient) -> None:
    cast.project.quota_bytes = 1000
    cast.project.save()
    first = begin(dana, 600)["Location"]
    assert begin(dana, 401).status_code == 422
    assert begin(dana, 400).status_code == 201
    assert quota.used_bytes(cast.project) == 1000
    assert dana.delete(first, headers=RESUMABLE).status_code == 204
    assert begin(dana, 600).status_code == 201


def test_a_disk_is_promised_once(dana: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    address = begin(dana, 600)["Location"]
    refusal = begin(dana, 401)
    assert (refusal.status_code, "disk has only 400" in refusal.json()["detail"]) == (507, True)
    send(dana, address, 0, DATA[:300])  # from here on the disk itself counts them
    assert begin(dana, 700).status_code == 201


def test_a_used_upload_counts_once(cast: Cast, dana: APIClient) -> None:
    address = begin(dana)["Location"]
    send(dana, address, 0, DATA)
    model = library.create_model(actor=cast.actor("dana"), project=cast.project, name="digits")
    library.create_version(actor=cast.actor("dana"), model=model, uploads=[Upload.objects.get()])
    assert quota.used_bytes(cast.project) == len(DATA)
    with pytest.raises(StateConflict):
        library.create_version(actor=cast.actor("dana"), model=model, uploads=[Upload.objects.get()])


def test_an_unfinished_upload_makes_no_version(cast: Cast, dana: APIClient, address: str) -> None:
    send(dana, address, 0, DATA[:10])
    model = library.create_model(actor=cast.actor("dana"), project=cast.project, name="digits")
    with pytest.raises(StateConflict, match="10 of 300000"):
        library.create_version(actor=cast.actor("dana"), model=model, uploads=[Upload.objects.get()])


def test_a_cancelled_upload_is_gone(dana: APIClient, address: str, django_capture_on_commit_callbacks: Any) -> None:
    send(dana, address, 0, DATA[:10])
    with django_capture_on_commit_callbacks(execute=True):
        assert dana.delete(address, headers=RESUMABLE).status_code == 204
    assert dana.head(address, headers=RESUMABLE).status_code == 404
    assert send(dana, address, 10, DATA[10:]).status_code == 404
    assert parts() == []


@pytest.mark.parametrize("name", ["sam", "ada", "vic"])
def test_an_upload_is_its_senders_alone(api: Callable[[str], APIClient], address: str, name: str) -> None:
    assert api(name).head(address, headers=RESUMABLE).status_code == 404
    assert send(api(name), address, 0, DATA).status_code == 404


@pytest.mark.parametrize(("name", "status"), [("vic", 403), ("rhea", 403), ("sam", 404)])
def test_only_who_may_upload_begins_one(api: Callable[[str], APIClient], name: str, status: int) -> None:
    assert begin(api(name)).status_code == status


def test_an_abandoned_upload_expires_and_leaves_no_bytes(dana: APIClient, address: str) -> None:
    send(dana, address, 0, DATA[:10])
    stray = partial.path_of("of-nobody")
    stray.write_bytes(b"left by a crash")
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert library.expire_uploads() == 1
    assert library.expire_uploads() == 0
    assert (parts(), Upload.objects.get().state) == ([], "expired")
    assert Entry.objects.latest("seq").action == "upload.expired"
    assert dana.head(address, headers=RESUMABLE).status_code == 404


def test_a_live_upload_survives_the_sweep(dana: APIClient, address: str) -> None:
    send(dana, address, 0, DATA[:10])
    assert library.expire_uploads() == 0
    assert send(dana, address, 10, DATA[10:]).status_code == 204


def test_a_full_disk_is_told_and_the_upload_goes_on_later(
    dana: APIClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    send(dana, address, 0, DATA[:1000])
    with monkeypatch.context() as full:
        full.setattr(partial, "write_all", fill)
        answer = send(dana, address, 1000, DATA[1000:])
    assert answer.status_code == 507
    assert "full" in answer.json()["detail"]
    assert parts()[0].stat().st_size == 1000
    assert send(dana, address, 1000, DATA[1000:]).status_code == 204


def test_an_upload_that_could_not_be_stored_is_completed_by_an_empty_piece(
    dana: APIClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "replace", fill)
        assert send(dana, address, 0, DATA).status_code == 507
    assert dana.head(address, headers=RESUMABLE)["Upload-Offset"] == "300000"
    assert send(dana, address, 300_000, b"").status_code == 204
    assert Upload.objects.get().state == "complete"


def test_bytes_that_a_power_cut_took_are_asked_for_again(dana: APIClient, address: str) -> None:
    send(dana, address, 0, DATA[:1000])
    os.truncate(parts()[0], 400)
    assert send(dana, address, 1000, DATA[1000:]).status_code == 409
    upload = Upload.objects.get()
    assert upload.offset == 400
    assert send(dana, address, 400, DATA[400:]).status_code == 204


def test_two_connections_do_not_write_at_once(cast: Cast, dana: APIClient, address: str) -> None:
    upload = Upload.objects.get()
    with get_store().draft(str(upload.pk), upload.size):
        answer = send(dana, address, 0, DATA)
    assert answer.status_code == 409
    assert "Another connection" in answer.json()["detail"]
