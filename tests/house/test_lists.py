"""Every list with many rows: in a fixed number of queries and, over the API, filtered and ordered as it says."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import ApiKey, Membership
from apps.deployments.models import Deployment
from apps.monitoring.models import Alert, AlertRule
from apps.releases import services as releases
from apps.targets.models import Endpoint, Target
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving

# With what finds out who asks; a page without its frame.
QUERIES = {
    "accounts:keys": 5,
    "audit:entries": 6,
    "deployments:endpoints": 6,
    "releases:releases": 17,
    "targets:targets": 8,
    "accounts_api:keys": 5,
    "accounts_api:members": 6,
    "audit_api:entries": 5,
    "deployments_api:deployments": 8,
    "deployments_api:endpoints": 8,
    "monitoring_api:alerts": 6,
    "releases_api:releases": 8,
    "targets_api:targets": 5,
}
SHARED = {"accounts_api:keys", "audit_api:entries", "targets_api:targets"}  # by all projects
FIELDS = {"created": "created_at", "expires": "expires_at"}  # by the word that orders by them


def address(name: str) -> str:
    return reverse(name, args=[] if name in SHARED else ["digits-team"])


LISTS = [name for name in QUERIES if "_api:" in name and name != "audit_api:entries"]


@pytest.fixture
def ada(cast: Cast) -> Client:
    """Ada, who has called before, in a house with several of everything that differ in all that a list shows."""
    Membership.objects.create(project=cast.elsewhere, user=cast.user("ada"), role="administrator")
    for number in range(4):
        furnish_again(cast, number, is_odd=number % 2 == 1)
    client = Client()
    client.force_login(cast.user("ada"), backend="allauth.account.auth_backends.AuthenticationBackend")
    client.get("/api/v1/projects/")
    return client


def furnish_again(cast: Cast, number: int, *, is_odd: bool) -> None:
    """One more of everything; the odd ones are of another state, place and hand than the even ones."""
    project, maker = (cast.elsewhere, "omar") if is_odd else (cast.project, "ada")
    key = accounts.issue_key(actor=cast.actor("ada"), project=project, name=f"CI {number}", scopes=["read"]).key
    later = key.expires_at + timedelta(days=number)
    ApiKey.objects.filter(pk=key.pk).update(created_by=cast.user(maker), expires_at=later)
    place = world.target(f"place-{number}", "docker" if is_odd else "process")
    stage, name = world.environment(cast, f"stage-{number}", target=place), f"model-{number}"
    Endpoint.objects.create(project=cast.project, environment=stage, name=name, created_by=cast.user("omar"))
    for _ in range(2):
        deployment = serving(cast, name, live_at=timezone.now())
    version = world.ready_version(cast, name)
    releases.propose(actor=cast.actor("dana"), version=version, endpoint=deployment.endpoint)
    phase = "failed" if is_odd else "running"
    Deployment.objects.filter(pk=deployment.pk).update(phase=phase, is_wanted=not is_odd)
    if is_odd:
        releases.withdraw(actor=cast.actor("dana"), release=deployment.release)
    Target.objects.filter(pk=place.pk).update(is_enabled=is_odd, is_reachable=is_odd)
    rule = AlertRule.objects.create(
        project=cast.project,
        endpoint=deployment.endpoint,
        name=f"Rule {number}",
        metric="requests",
        threshold=1,
        severity="critical" if is_odd else "warning",
        created_by=cast.user("omar"),
    )
    Alert.objects.create(rule=rule, state="firing" if is_odd else "pending", value=1, since=timezone.now())


@pytest.mark.parametrize("name", QUERIES)
def test_a_list_asks_the_database_a_fixed_number_of_times(
    ada: Client, name: str, django_assert_num_queries: Callable
) -> None:
    ada.get(address(name))  # notes the project that was worked in last
    with django_assert_num_queries(QUERIES[name]):
        assert ada.get(address(name), headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_ordered_by_each_of_its_words(ada: Client, name: str) -> None:
    for word in filters(name)["ordering"].param_map:
        field = FIELDS.get(word, word)
        rising, falling = ([row[field] for row in ask(ada, name, ordering=order)] for order in (word, f"-{word}"))
        assert rising == sorted(rising)
        assert falling == rising[::-1] != rising


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_narrowed_by_each_of_its_filters(ada: Client, name: str) -> None:
    rows = ask(ada, name)
    for word in filters(name).keys() - {"ordering"}:
        values = {row[word] for row in rows} - {None}
        assert len(values) > 1, word
        for value in values:
            assert ask(ada, name, **{word: value}) == [row for row in rows if row[word] == value]


@pytest.mark.parametrize("name", LISTS)
def test_a_word_that_no_list_knows_is_refused_at_its_place(ada: Client, name: str) -> None:
    answer = ada.get(address(name), {"ordering": "password"})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["ordering"])


def ask(client: Client, name: str, **query: Any) -> list[dict[str, Any]]:
    return client.get(address(name), query).json()["results"]


def filters(name: str) -> dict[str, Any]:
    """What a list of the API can be narrowed to and ordered by."""
    view = resolve(address(name)).func.view_class  # type: ignore[attr-defined]
    return view.filterset_class.base_filters
