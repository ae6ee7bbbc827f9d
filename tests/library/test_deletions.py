"""Deleting what nobody needs: refused while anything refers to it, and exact about the bytes that remain."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.audit.models import Entry
from apps.core.errors import NotAllowed, StateConflict
from apps.library import quota
from apps.library import services as library
from apps.library.models import Artifact, ModelVersion, Upload
from apps.library.services import artifacts
from apps.library.store import get_store
from apps.releases import services as releases
from tests import world
from tests.cast import Cast
from tests.library.conftest import ONNX

Make = Callable[..., ModelVersion]
DIGEST = hashlib.sha256(ONNX).hexdigest()
AT_ONCE = timedelta(seconds=-2)  # a bucket tells whole seconds, rounded up


@pytest.fixture
def refused(upload_version: Make) -> ModelVersion:
    return set_aside(upload_version())


def set_aside(version: ModelVersion) -> ModelVersion:
    begun = library.begin_examination(version.pk)
    assert begun is not None
    return library.finish_examination(begun, {"accepted": False}, None)


def test_a_deleted_version_leaves_its_entry_its_quota_and_its_number(
    cast: Cast, refused: ModelVersion, upload_version: Make
) -> None:
    library.delete_version(actor=cast.actor("dana"), version=refused, note="The wrong file")
    entry = Entry.objects.latest("seq")
    assert (entry.action, entry.object_label, entry.reason) == ("version.deleted", "digits v1", "The wrong file")
    assert refused.digest in entry.before
    assert quota.used_bytes(cast.project) == 0
    assert upload_version().number == 2


def test_a_version_under_examination_is_not_deleted(cast: Cast, upload_version: Make) -> None:
    with pytest.raises(StateConflict, match="being examined"):
        library.delete_version(actor=cast.actor("dana"), version=upload_version())


def test_what_a_version_was_made_from_is_kept_and_the_child_is_named(
    cast: Cast, refused: ModelVersion, upload_version: Make
) -> None:
    upload_version(parent=refused)
    with pytest.raises(StateConflict, match="referred to by digits v2"):
        library.delete_version(actor=cast.actor("dana"), version=refused)
    assert ModelVersion.objects.count() == 2


def test_what_was_released_is_kept_and_the_release_is_named(cast: Cast, queue: list[Any]) -> None:
    version = world.ready_version(cast)
    releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))
    with pytest.raises(StateConflict, match=r"referred to by #\d+ digits v1 → digits"):
        library.delete_version(actor=cast.actor("ada"), version=version)


@pytest.mark.parametrize("name", ["rhea", "omar", "vic"])
def test_only_who_may_delete_does(cast: Cast, refused: ModelVersion, name: str) -> None:
    with pytest.raises(NotAllowed):
        library.delete_version(actor=cast.actor(name), version=refused)


def test_page_and_api_delete(
    refused: ModelVersion, browser: Callable[[str], Client], api: Callable[[str], APIClient], upload_version: Make
) -> None:
    other = set_aside(upload_version())
    answer = browser("dana").post("/p/digits-team/models/digits/1/delete/", follow=True)
    assert "digits v1 is deleted." in answer.content.decode()
    path = f"/api/v1/projects/digits-team/models/digits/versions/{other.number}/"
    assert [api("dana").delete(path).status_code, api("dana").get(path).status_code] == [204, 404]


def test_bytes_go_when_the_last_version_with_them_has_gone(
    cast: Cast, refused: ModelVersion, upload_version: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = set_aside(upload_version())
    library.delete_version(actor=cast.actor("dana"), version=refused)
    assert list(library.find_unreferenced(grace=AT_ONCE)) == []
    library.delete_version(actor=cast.actor("dana"), version=twin)
    call_command("prune", "--dry-run", "--grace-hours=0")
    assert f"{DIGEST}  " in capsys.readouterr().out
    assert get_store().exists(DIGEST)
    call_command("prune", "--grace-hours=0")
    assert f"1 artifacts, {len(ONNX)} bytes: removed." in capsys.readouterr().out
    assert (get_store().exists(DIGEST), Artifact.objects.count()) == (False, 0)


def test_what_was_brought_lately_stays(cast: Cast) -> None:
    stored = library.store_file(actor=cast.actor("dana"), project=cast.project, name="a.onnx", stream=io.BytesIO(ONNX))
    assert library.collect_unreferenced() == 0
    Artifact.objects.update(claimed_at=timezone.now() - timedelta(days=2))
    assert (library.collect_unreferenced(), get_store().exists(stored.sha256)) == (len(ONNX), False)


def test_what_an_upload_brought_stays_until_the_upload_has_ended(cast: Cast) -> None:
    artifact = artifacts.claim(get_store().put(io.BytesIO(ONNX)), lambda: None)
    upload = Upload.objects.create(
        project=cast.project,
        created_by=cast.user("dana"),
        name="a",
        size=1,
        artifact=artifact,
        state="complete",
        expires_at=timezone.now(),
    )
    assert list(library.find_unreferenced(grace=AT_ONCE)) == []
    library.cancel_upload(actor=cast.actor("dana"), upload=upload)
    [found] = library.collect(library.find_unreferenced(grace=AT_ONCE), grace=AT_ONCE)
    upload.refresh_from_db()
    assert (found.sha256, upload.artifact) == (DIGEST, None)


def test_bytes_that_no_row_knows_are_found(cast: Cast) -> None:
    get_store().put(io.BytesIO(ONNX))
    [found] = library.find_unreferenced(grace=AT_ONCE)
    assert (found.sha256, found.is_stray) == (DIGEST, True)
    assert library.collect([found], grace=AT_ONCE) == [found]
    assert not get_store().exists(DIGEST)
