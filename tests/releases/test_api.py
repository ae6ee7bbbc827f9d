"""Releases over the API: pipelines propose, people decide."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts import services as accounts
from apps.releases.models import Release
from tests import world
from tests.cast import Cast

BASE = "/api/v1/projects/digits-team/releases/"


@pytest.fixture
def pipeline(cast: Cast) -> APIClient:
    issued = accounts.issue_key(
        actor=cast.actor("ada"), project=cast.project, name="CI", scopes=["read", "upload", "propose", "deploy"]
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.text}")
    return client


@pytest.fixture
def wish(cast: Cast) -> dict[str, Any]:
    world.ready_version(cast)
    world.endpoint(cast)
    return {"model": "digits", "version": 1, "endpoint": "digits", "note": "From the pipeline"}


def person(cast: Cast, name: str) -> APIClient:
    client = APIClient()
    client.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_pipeline_proposes_and_a_person_approves(cast: Cast, pipeline: APIClient, wish: dict) -> None:
    made = pipeline.post(BASE, wish)
    assert made.status_code == 201, made.json()
    body = made.json()
    assert (body["state"], body["model"], body["version"]) == ("in_review", "digits", 1)
    answer = person(cast, "rhea").post(f"{BASE}{body['id']}/approve/", {"subject": body["subject"]})
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    assert answer.json()["build"]["state"] == "queued"


def test_a_key_cannot_approve(cast: Cast, pipeline: APIClient, wish: dict) -> None:
    body = pipeline.post(BASE, wish).json()
    answer = pipeline.post(f"{BASE}{body['id']}/approve/", {"subject": body["subject"]})
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


def test_who_made_the_key_cannot_approve_what_it_proposed(cast: Cast, pipeline: APIClient, wish: dict) -> None:
    body = pipeline.post(BASE, wish).json()
    answer = person(cast, "ada").post(f"{BASE}{body['id']}/approve/", {"subject": body["subject"]})
    assert answer.status_code == 403


def test_proposing_twice_under_one_idempotency_key_proposes_once(cast: Cast, pipeline: APIClient, wish: dict) -> None:
    answers = [pipeline.post(BASE, wish, HTTP_IDEMPOTENCY_KEY="run-17") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Release.objects.count() == 1
    other = pipeline.post(BASE, {**wish, "replicas": 2}, HTTP_IDEMPOTENCY_KEY="run-17")
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"version": 9}, 404, "detail"),
        ({"endpoint": "nowhere"}, 404, "detail"),
        ({"replicas": 0}, 422, "replicas"),
        ({"options": {"memory_mb": 1}}, 422, "options"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    cast: Cast, pipeline: APIClient, wish: dict, change: dict, status: int, word: str
) -> None:
    answer = pipeline.post(BASE, {**wish, **change})
    assert answer.status_code == status
    assert word in answer.json() or word in answer.json()["errors"]


def test_another_projects_releases_do_not_exist(cast: Cast, pipeline: APIClient, wish: dict) -> None:
    pk = pipeline.post(BASE, wish).json()["id"]
    assert person(cast, "sam").get(f"{BASE}{pk}/").status_code == 404
    assert APIClient().get(BASE).status_code == 401
