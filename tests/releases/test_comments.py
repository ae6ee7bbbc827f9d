"""Questions and answers about a release, before somebody decides."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.releases import services as releases
from apps.releases.models import Comment, Release
from tests import world
from tests.cast import Cast


@pytest.fixture
def release(cast: Cast) -> Release:
    return releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=world.endpoint(cast))


def as_(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(cast: Cast, name: str, release: Release) -> str:
    return reverse(f"releases:{name}", args=[cast.project.slug, release.pk])


def test_a_question_and_its_answer_stand_on_the_sheet_in_order(cast: Cast, release: Release) -> None:
    asked = as_(cast, "rhea").post(page(cast, "comment", release), {"text": "Why are <b>sevens</b> worse?"})
    assert asked.url == f"{page(cast, 'release', release)}#comments"
    as_(cast, "dana").post(page(cast, "comment", release), {"text": "Fewer of them in the data."})
    text = as_(cast, "vic").get(page(cast, "release", release)).content.decode()
    assert text.index("Why are &lt;b&gt;sevens&lt;/b&gt; worse?") < text.index("Fewer of them in the data.")
    assert page(cast, "comment", release) not in text
    entries = Entry.objects.filter(action="release.commented").order_by("seq")
    assert [(entry.actor_label, entry.object_id, entry.reason) for entry in entries] == [
        (str(cast.user("rhea")), str(release.pk), "Why are <b>sevens</b> worse?"),
        (str(cast.user("dana")), str(release.pk), "Fewer of them in the data."),
    ]


def test_a_viewer_a_stranger_and_an_empty_comment_are_refused(cast: Cast, release: Release) -> None:
    for name in ("vic", "sam"):
        with pytest.raises(NotAllowed):
            releases.comment(actor=cast.actor(name), release=release, text="Hello")
    with pytest.raises(Invalid, match="needs words"):
        releases.comment(actor=cast.actor("rhea"), release=release, text="  ")
    assert not Comment.objects.exists()
    assert not Entry.objects.filter(action="release.commented").exists()


def test_after_the_decision_nothing_is_left_to_discuss(cast: Cast, release: Release) -> None:
    releases.comment(actor=cast.actor("rhea"), release=release, text="Is it tested?")
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    with pytest.raises(StateConflict, match="approved already"):
        releases.comment(actor=cast.actor("dana"), release=release, text="Yes.")
    text = as_(cast, "dana").get(page(cast, "release", release)).content.decode()
    assert "Is it tested?" in text
    assert page(cast, "comment", release) not in text


def test_programs_read_comments_and_people_write_them_by_the_api(cast: Cast, release: Release) -> None:
    address = f"/api/v1/projects/{cast.project.slug}/releases/{release.pk}/comments/"
    made = as_(cast, "omar").post(address, {"text": "Is there room?"}, content_type="application/json")
    assert (made.status_code, made.json()["author"]) == (201, "Omar")
    listed = as_(cast, "vic").get(address).json()
    assert [row["text"] for row in listed["results"]] == ["Is there room?"]
    assert as_(cast, "sam").get(address).status_code == 404
