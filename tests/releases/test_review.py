"""Who may let what go live: the release workflow, told by the people in it."""

import json

import pytest
from django.db import DatabaseError, transaction

from apps.accounts.actors import actor_for_key
from apps.accounts.models import ApiKey, Membership
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.core.jobs import Job
from apps.core.messages import say
from apps.core.states import advance
from apps.library.models import ModelVersion
from apps.releases import services as releases
from apps.releases.models import Build, Release, Review
from apps.targets.models import Endpoint, Environment
from tests import world
from tests.cast import Cast


def propose(cast: Cast, by: str = "dana", **policy: object) -> Release:
    return releases.propose(
        actor=cast.actor(by), version=world.ready_version(cast), endpoint=world.endpoint(cast, **policy), note="Try it"
    )


def actions() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("action", flat=True))


def test_an_approval_by_somebody_else_sends_the_release_to_be_built(
    cast: Cast, queue: list, django_capture_on_commit_callbacks
) -> None:
    release = propose(cast)
    with django_capture_on_commit_callbacks(execute=True):
        releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject, note="Good")
    build = Build.objects.get(release=release)
    assert release.state == "approved"
    assert build.due_at is not None
    assert queue == [(Job.BUILD, build.pk)]
    assert actions() == ["release.proposed", "release.approved", "release.cleared"]


def test_who_proposed_cannot_approve_even_as_an_administrator(cast: Cast) -> None:
    release = propose(cast, by="ada")
    with pytest.raises(NotAllowed, match="You proposed"):
        releases.approve(actor=cast.actor("ada"), release=release, subject=release.subject)


def test_who_uploaded_cannot_approve_what_another_proposed(cast: Cast) -> None:
    Membership.objects.filter(user=cast.user("dana")).update(role="reviewer")
    release = propose(cast, by="omar")
    with pytest.raises(NotAllowed, match="You uploaded"):
        releases.approve(actor=cast.actor("dana"), release=release, subject=release.subject)


@pytest.mark.parametrize("name", ["vic", "dana", "omar", "sam"])
def test_other_roles_cannot_approve(cast: Cast, name: str) -> None:
    release = propose(cast)
    with pytest.raises(NotAllowed):
        releases.approve(actor=cast.actor(name), release=release, subject=release.subject)
    assert actions() == ["release.proposed"]


def test_a_key_cannot_approve_whatever_its_scopes(cast: Cast) -> None:
    release = propose(cast)
    key = ApiKey(pk=1, key_id="k", project=cast.project, created_by=cast.user("rhea"), scopes=["propose", "deploy"])
    with pytest.raises(NotAllowed):
        releases.approve(actor=actor_for_key(key), release=release, subject=release.subject)


def test_an_approval_is_for_the_subject_that_was_shown(cast: Cast) -> None:
    release = propose(cast)
    with pytest.raises(StateConflict, match="another subject"):
        releases.approve(actor=cast.actor("rhea"), release=release, subject="0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "f" * 64},
        {"served_format": "skops"},
        {"signature": {"inputs": [], "outputs": []}},
        {"requirements": ["onnxruntime==9"]},
        {"trusted": ["os.system"]},
        {"golden": {"request": {}}},
    ],
)
def test_an_approval_is_void_when_the_version_changes(cast: Cast, change: dict) -> None:
    release = propose(cast)
    ModelVersion.objects.filter(pk=release.version_id).update(**change)
    with pytest.raises(StateConflict, match="has changed since"):
        releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)


def test_what_changes_between_approval_and_build_is_not_built(cast: Cast) -> None:
    release = propose(cast)
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    ModelVersion.objects.filter(pk=release.version_id).update(served_format="skops")
    build = Build.objects.get()
    assert releases.begin_build(build.pk) is None
    build.refresh_from_db()
    assert (build.state, build.failure_kind) == ("failed", "subject_changed")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("withdrawn", "It was taken back before it was built."),
        ("superseded", "A newer release took its place before it was built."),
        ("expired", "Its approval expired before it was built."),
    ],
)
def test_what_nobody_wants_any_more_is_not_built_and_that_is_no_failure(cast: Cast, end: str, words: str) -> None:
    release = propose(cast)
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    advance(release, end)
    build = Build.objects.get()
    assert releases.begin_build(build.pk) is None
    build.refresh_from_db()
    assert (build.state, build.failure_kind, build.due_at) == ("skipped", "", None)
    assert say(build.failure) == words
    assert json.loads(Entry.objects.get(action="build.skipped").after) == {"build": build.pk, "release": end}


def test_two_approvals_are_two_people(cast: Cast) -> None:
    release = propose(cast, approvals_required=2)
    rhea = cast.actor("rhea")
    releases.approve(actor=rhea, release=release, subject=release.subject)
    assert release.state == "in_review"
    with pytest.raises(StateConflict, match="already"):
        releases.approve(actor=rhea, release=release, subject=release.subject)
    releases.approve(actor=cast.actor("ada"), release=release, subject=release.subject)
    assert release.state == "approved"


def test_one_rejection_closes_and_needs_a_reason(cast: Cast) -> None:
    release = propose(cast)
    with pytest.raises(Invalid, match="needs a comment"):
        releases.reject(actor=cast.actor("rhea"), release=release, subject=release.subject)
    releases.reject(actor=cast.actor("rhea"), release=release, subject=release.subject, note="Too slow")
    with pytest.raises(StateConflict):
        releases.approve(actor=cast.actor("ada"), release=release, subject=release.subject)
    assert not Build.objects.exists()


def test_without_needed_approvals_it_is_built_at_once(cast: Cast) -> None:
    assert propose(cast, approvals_required=0).state == "approved"


def test_only_a_ready_version_of_this_project_can_be_proposed(cast: Cast) -> None:
    version = world.ready_version(cast, state="refused")
    with pytest.raises(StateConflict, match="only a ready version"):
        releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))


def test_the_same_proposal_does_not_wait_twice(cast: Cast) -> None:
    release = propose(cast)
    with pytest.raises(StateConflict, match="waits for this endpoint already"):
        releases.propose(actor=cast.actor("omar"), version=release.version, endpoint=release.endpoint)


def refused_by_database(act) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        act()


def test_the_database_itself_keeps_four_eyes(cast: Cast) -> None:
    release = propose(cast)
    own = {"release": release, "decision": "approve", "subject": release.subject}
    refused_by_database(lambda: Review.objects.create(reviewer=cast.user("dana"), **own))
    refused_by_database(lambda: Review.objects.create(reviewer=cast.user("rhea"), **{**own, "subject": "0" * 64}))
    rows = Release.objects.filter(pk=release.pk)
    refused_by_database(lambda: rows.update(state="approved"))
    refused_by_database(lambda: rows.update(subject="0" * 64))
    refused_by_database(lambda: rows.update(approvals_required=0))
    review = Review.objects.create(reviewer=cast.user("rhea"), **own)
    refused_by_database(lambda: Review.objects.filter(pk=review.pk).update(decision="reject"))


def test_what_nobody_can_approve_any_more_is_superseded_by_the_next_proposal(cast: Cast) -> None:
    stale = propose(cast)
    with pytest.raises(StateConflict, match="waits for this endpoint already"):
        releases.propose(actor=cast.actor("dana"), version=stale.version, endpoint=stale.endpoint)
    Environment.objects.filter(pk=stale.endpoint.environment_id).update(approvals_required=0)
    endpoint = Endpoint.objects.get(pk=stale.endpoint_id)
    fresh = releases.propose(actor=cast.actor("dana"), version=stale.version, endpoint=endpoint)
    stale.refresh_from_db()
    assert (stale.state, fresh.state) == ("superseded", "approved")
    assert actions() == ["release.proposed", "release.superseded", "release.proposed", "release.cleared"]
