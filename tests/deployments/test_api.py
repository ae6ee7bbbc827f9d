"""Endpoints over the API: what serves at each, in the list as alone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.deployments.models import Deployment, Replica, Route
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving

BASE = "/api/v1/projects/digits-team/endpoints/"


@pytest.fixture
def omar(cast: Cast) -> APIClient:
    client = APIClient()
    client.force_login(cast.user("omar"), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def serve(cast: Cast, name: str = "digits", hours: int = 1, **facts: int) -> Deployment:
    return serving(cast, name, live_at=timezone.now() - timedelta(hours=hours), **facts)


def test_a_new_endpoint_is_answered_with_its_address(cast: Cast, omar: APIClient) -> None:
    world.environment(cast)
    made = omar.post(BASE, {"name": "digits", "environment": "production", "timeout_seconds": 5})
    assert made.status_code == 201, made.json()
    body = made.json()
    assert (body["state"], body["routes"], body["replicas"], body["timeout_seconds"]) == ("empty", [], [], 5.0)
    assert body["url"].endswith("/digits-team/digits")
    assert omar.get(f"{BASE}digits/").json() == body
    assert omar.get(BASE).json()["results"] == [body]


def test_the_list_tells_the_same_as_each_endpoint_alone(cast: Cast, omar: APIClient) -> None:
    old, new = serve(cast, hours=2, weight=10), serve(cast, weight=90, replicas=3)
    serve(cast, "wine", replicas=1)
    Replica.objects.filter(deployment=new, index=2).update(state=Replica.State.EXITED)
    world.endpoint(cast, "unused")
    rows = {row["name"]: row for row in omar.get(BASE).json()["results"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "digits": "degraded",
        "wine": "running",
        "unused": "empty",
    }
    assert [(route["deployment"], route["version"], route["weight"]) for route in rows["digits"]["routes"]] == [
        (new.pk, 2, 90),
        (old.pk, 1, 10),
    ]
    assert [one["state"] for one in rows["digits"]["replicas"]] == ["running", "running", "exited"] + ["running"] * 2
    for name, row in rows.items():
        assert omar.get(f"{BASE}{name}/").json() == row


def test_what_is_no_longer_wanted_counts_until_it_takes_nothing(cast: Cast, omar: APIClient) -> None:
    old = serve(cast, hours=2)
    new = serve(cast, weight=0)
    Deployment.objects.filter(pk=old.pk).update(is_wanted=False)
    row = omar.get(f"{BASE}digits/").json()
    assert (row["state"], [route["deployment"] for route in row["routes"]]) == ("running", [old.pk])
    assert {replica["name"] for replica in row["replicas"]} == set(new.replica_set.values_list("name", flat=True))
    Route.objects.update(weight=0)
    assert omar.get(f"{BASE}digits/").json()["state"] == "starting"


def test_giving_traffic_answers_with_the_shares(cast: Cast, omar: APIClient) -> None:
    old, new = serve(cast, hours=2), serve(cast, weight=0)
    answer = omar.post(f"{BASE}digits/traffic/", {"weights": {str(old.pk): 75, str(new.pk): 25}})
    assert [(route["deployment"], route["weight"]) for route in answer.json()] == [(old.pk, 75), (new.pk, 25)]
