"""Exceptions: four eyes for opening a refused pickle, bound to its bytes and to the names that were shown."""

from typing import Any

import pytest
from django.db import DatabaseError, transaction

from apps.accounts.models import Membership
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.library import services
from apps.library.exceptions import exceptions_waiting_for
from apps.library.models import Check, ExceptionReview, ModelVersion, SafetyException
from apps.releases import services as releases
from apps.releases.selectors import current_subject
from tests import world
from tests.cast import Cast

pytestmark = pytest.mark.django_db

NAMES = ["xgboost.core:Booster", "xgboost.sklearn:XGBClassifier"]


@pytest.fixture
def refused(cast: Cast) -> ModelVersion:
    version = world.ready_version(cast, state="refused", served_format="", signature=None)
    Check.objects.create(
        version=version, key="safety", position=1, state="failed", summary={}, details={"exception": NAMES}
    )
    return version


@pytest.fixture
def asked(cast: Cast, refused: ModelVersion) -> SafetyException:
    return services.ask_exception(actor=cast.actor("dana"), version=refused, reason="Our only fraud model")


def approve(cast: Cast, who: str, exception: SafetyException, **facts: Any) -> SafetyException:
    wanted = {"subject": exception.subject, **facts}
    return services.approve_exception(actor=cast.actor(who), exception=exception, **wanted)


def promote(cast: Cast, who: str, role: str) -> None:
    Membership.objects.filter(project=cast.project, user=cast.user(who)).update(role=role)


def actions() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("action", flat=True))


def test_two_approvals_grant_it_and_the_version_is_examined_again(
    cast: Cast, asked: SafetyException, queue: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    approve(cast, "rhea", asked)
    asked.refresh_from_db()
    assert asked.state == "asked"
    assert services.granted_names(asked.version) == ()
    with django_capture_on_commit_callbacks(execute=True):
        approve(cast, "ada", asked)
    version = ModelVersion.objects.get(pk=asked.version_id)
    assert (asked.state, version.state, version.attempts) == ("granted", "uploaded", 0)
    assert services.granted_names(version) == tuple(NAMES)
    assert queue == [("examine", version.pk)]
    assert actions() == ["exception.asked", "exception.approved", "exception.approved", "exception.granted"]


def test_two_reviewers_without_an_administrator_are_not_enough(cast: Cast, asked: SafetyException) -> None:
    promote(cast, "omar", "reviewer")
    approve(cast, "rhea", asked)
    approve(cast, "omar", asked)
    asked.refresh_from_db()
    assert asked.state == "asked"


@pytest.mark.parametrize("who", ["dana", "ada"])
def test_neither_the_uploader_nor_who_asked_decides(cast: Cast, refused: ModelVersion, who: str) -> None:
    exception = services.ask_exception(actor=cast.actor("ada"), version=refused, reason="Needed")
    promote(cast, "dana", "administrator")
    with pytest.raises(NotAllowed):
        approve(cast, who, exception)
    with pytest.raises(DatabaseError, match="somebody else"), transaction.atomic():
        ExceptionReview.objects.create(
            exception=exception,
            reviewer=cast.user(who),
            is_administrator=True,
            decision="approve",
            subject=exception.subject,
        )


def test_the_database_keeps_its_own_eyes_open(cast: Cast, asked: SafetyException) -> None:
    rows = SafetyException.objects.filter(pk=asked.pk)
    versions = ModelVersion.objects.filter(pk=asked.version_id)
    facts = {"exception": asked, "decision": "approve", "reviewer": cast.user("rhea")}
    forbidden = [
        lambda: rows.update(state="granted"),
        lambda: rows.update(names=["os:system"]),
        lambda: rows.update(digest="0" * 64),
        lambda: versions.update(state="uploaded"),
        lambda: versions.update(state="ready", tier=2),
        lambda: versions.update(served_format="pickle", tier=1),
        lambda: ExceptionReview.objects.create(**facts, is_administrator=True, subject=asked.subject),
        lambda: ExceptionReview.objects.create(**facts, is_administrator=False, subject="0" * 64),
        lambda: SafetyException.objects.create(
            version=asked.version, digest="0" * 64, names=[], subject="", asked_by=cast.user("dana"), state="rejected"
        ),
    ]
    for act in forbidden:
        with pytest.raises(DatabaseError), transaction.atomic():
            act()
    approve(cast, "rhea", asked)
    with pytest.raises(DatabaseError), transaction.atomic():
        asked.reviews.update(decision="reject")


def test_other_names_than_those_shown_are_not_approved(cast: Cast, asked: SafetyException) -> None:
    with pytest.raises(StateConflict, match="other names"):
        approve(cast, "rhea", asked, subject="0" * 64)


def test_one_person_decides_once(cast: Cast, asked: SafetyException) -> None:
    approve(cast, "ada", asked)
    with pytest.raises(StateConflict, match="already"):
        approve(cast, "ada", asked)


def test_a_rejection_says_why_and_ends_it(cast: Cast, asked: SafetyException) -> None:
    facts = {"actor": cast.actor("rhea"), "exception": asked, "subject": asked.subject}
    with pytest.raises(Invalid):
        services.reject_exception(**facts)
    services.reject_exception(**facts, note="Save it as JSON instead")
    with pytest.raises(StateConflict):
        approve(cast, "ada", asked)
    services.ask_exception(actor=cast.actor("dana"), version=asked.version, reason="Once more")


def test_a_version_refused_for_anything_else_cannot_have_one(cast: Cast, refused: ModelVersion) -> None:
    refused.checks.update(details={"name": "os.system"})
    with pytest.raises(StateConflict):
        services.ask_exception(actor=cast.actor("dana"), version=refused, reason="Please")


def granted_version(cast: Cast, asked: SafetyException) -> ModelVersion:
    """The version as it stands once it was examined with its exception."""
    approve(cast, "rhea", asked)
    approve(cast, "ada", asked)
    version = ModelVersion.objects.get(pk=asked.version_id)
    facts = {"tier": 2, "served_format": "pickle", "signature": world.SIGNATURE, "trusted": NAMES}
    ModelVersion.objects.filter(pk=version.pk).update(state="ready", **facts)
    version.refresh_from_db()
    return version


def test_its_release_needs_two_approvals_and_a_target_with_a_wall(cast: Cast, asked: SafetyException) -> None:
    version = granted_version(cast, asked)
    endpoint = world.endpoint(cast, approvals_required=0)
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint)
    assert (release.approvals_required, release.state) == (2, "in_review")
    with pytest.raises(DatabaseError, match="tier 2"), transaction.atomic():
        release.pk, release.approvals_required = None, 1
        release.save()
    with pytest.raises(Invalid, match="sandbox"):
        other = world.target("elsewhere", kind="fake")
        releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint, target=other)


def test_revoking_retires_the_version_and_stops_its_releases(cast: Cast, asked: SafetyException) -> None:
    version = granted_version(cast, asked)
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))
    with pytest.raises(NotAllowed):
        services.revoke_exception(actor=cast.actor("rhea"), exception=asked)
    services.revoke_exception(actor=cast.actor("ada"), exception=asked, note="The library has a hole")
    version.refresh_from_db()
    assert version.state == "retired"
    assert services.granted_names(version) == ()
    assert current_subject(release) != release.subject
    with pytest.raises(StateConflict, match="revoked"):
        services.restore_version(actor=cast.actor("ada"), version=version)
    with pytest.raises(DatabaseError), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(state="ready")


def test_an_exception_revoked_while_it_is_examined_lets_nothing_in(cast: Cast, asked: SafetyException) -> None:
    approve(cast, "rhea", asked)
    approve(cast, "ada", asked)
    version = services.begin_examination(asked.version_id)
    assert version
    services.revoke_exception(actor=cast.actor("ada"), exception=asked)
    done = services.finish_examination(version, {"accepted": True, "tier": 2, "format": "sklearn"}, None)
    assert done.state == "refused"


def test_it_waits_for_those_who_can_decide_until_they_have(cast: Cast, asked: SafetyException) -> None:
    def waits_for(who: str) -> bool:
        return exceptions_waiting_for(cast.actor(who), cast.project).exists()

    assert [who for who in ("dana", "rhea", "omar", "ada", "vic") if waits_for(who)] == ["rhea", "ada"]
    approve(cast, "rhea", asked)
    assert not waits_for("rhea")
    assert waits_for("ada")
