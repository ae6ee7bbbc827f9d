"""The pages of exceptions and the red mark on what runs by one."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Membership
from apps.library import services
from apps.library.models import Check, ModelVersion, SafetyException
from apps.releases import services as releases
from tests import world
from tests.cast import Cast

pytestmark = pytest.mark.django_db

NAMES = ["xgboost.core:Booster", "xgboost.sklearn:XGBClassifier"]


@pytest.fixture
def refused(cast: Cast) -> ModelVersion:
    version = world.ready_version(cast, state="refused", served_format="", signature=None)
    details = {"exception": NAMES, "second_opinion": {"scanner": "picklescan 1.0.5", "verdict": "nothing dangerous"}}
    Check.objects.create(version=version, key="safety", position=1, state="failed", summary={}, details=details)
    return version


def page(cast: Cast, who: str, name: str, *args: object) -> str:
    client = Client()
    client.force_login(cast.user(who))
    return client.get(reverse(f"library:{name}", args=[cast.project.slug, *args])).content.decode()


def post(cast: Cast, who: str, name: str, *args: object, **data: object) -> int:
    client = Client()
    client.force_login(cast.user(who))
    return client.post(reverse(f"library:{name}", args=[cast.project.slug, *args]), data).status_code


def test_from_the_refused_version_to_the_granted_exception(cast: Cast, refused: ModelVersion) -> None:
    shown = page(cast, "dana", "version", "digits", 1)
    assert "An exception can be asked for" in shown
    assert "xgboost.sklearn:XGBClassifier" in shown
    assert "picklescan 1.0.5" in shown
    assert "Ask for an exception</button>" not in page(cast, "vic", "version", "digits", 1)
    assert post(cast, "dana", "ask_exception", "digits", 1, reason="Our only fraud model") == 302
    exception = SafetyException.objects.get()
    assert f"#{exception.pk}" in page(cast, "vic", "exceptions")
    sheet = page(cast, "rhea", "exception", exception.pk)
    assert "Our only fraud model" in sheet
    assert "xgboost.core:Booster" in sheet
    assert "Approve" in sheet
    assert "Reviewers and administrators of this project decide" in page(cast, "dana", "exception", exception.pk)
    for who in ("rhea", "ada"):
        assert post(cast, who, "approve_exception", exception.pk, subject=exception.subject) == 302
    exception.refresh_from_db()
    assert exception.state == "granted"
    assert "Revoke" in page(cast, "ada", "exception", exception.pk)
    assert "Revoke</button>" not in page(cast, "rhea", "exception", exception.pk)
    assert post(cast, "ada", "revoke_exception", exception.pk) == 302


def test_a_decision_without_its_subject_is_shown_again(cast: Cast, refused: ModelVersion) -> None:
    exception = services.ask_exception(actor=cast.actor("dana"), version=refused, reason="Needed")
    assert post(cast, "rhea", "approve_exception", exception.pk) == 422


def test_tier_2_is_red_on_the_version_and_on_the_release(cast: Cast, refused: ModelVersion) -> None:
    exception = services.ask_exception(actor=cast.actor("dana"), version=refused, reason="Needed")
    for who in ("rhea", "ada"):
        services.approve_exception(actor=cast.actor(who), exception=exception, subject=exception.subject)
    facts = {"tier": 2, "served_format": "pickle", "signature": world.SIGNATURE, "state": "ready"}
    ModelVersion.objects.filter(pk=refused.pk).update(**facts)
    refused.refresh_from_db()
    assert 'data-tier="2"' in page(cast, "vic", "version", "digits", 1)
    release = releases.propose(actor=cast.actor("dana"), version=refused, endpoint=world.endpoint(cast))
    client = Client()
    client.force_login(cast.user("rhea"))
    sheet = client.get(reverse("releases:release", args=[cast.project.slug, release.pk])).content.decode()
    assert 'data-tier="2"' in sheet
    assert "2 approvals" in sheet


def test_over_http_people_ask_and_decide(cast: Cast, refused: ModelVersion) -> None:
    client = Client()
    client.force_login(cast.user("dana"))
    place = f"/api/v1/projects/{cast.project.slug}/"
    made = client.post(f"{place}models/digits/versions/1/exceptions/", {"reason": "Needed"}, "application/json")
    assert made.status_code == 201
    facts = made.json()
    assert (facts["state"], facts["names"], facts["digest"]) == ("asked", NAMES, refused.digest)
    Membership.objects.filter(user=cast.user("omar")).update(role="administrator")
    for who in ("rhea", "omar"):
        client.force_login(cast.user(who))
        decided = client.post(
            f"{place}exceptions/{facts['id']}/approve/", {"subject": facts["subject"]}, "application/json"
        )
        assert decided.status_code == 200
    assert decided.json()["state"] == "granted"
    assert [review["reviewer"] for review in decided.json()["reviews"]] == ["rhea@example.com", "omar@example.com"]
    assert len(client.get(f"{place}exceptions/").json()) == 1
