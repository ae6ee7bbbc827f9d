"""Wrong keys by address, and writes by actor: refused above their limits, told when to come again."""

from typing import Any

from rest_framework.test import APIClient

from apps.accounts import services as accounts
from apps.core.networks import network_of
from tests.cast import Cast

PROJECTS = "/api/v1/projects/"


def call(text: str, ip: str = "203.0.113.7") -> Any:
    return APIClient().get(PROJECTS, headers={"Authorization": f"Bearer {text}"}, REMOTE_ADDR=ip)


def test_wrong_keys_are_limited_by_address_and_right_ones_are_not(cast: Cast, settings: Any) -> None:
    settings.SLIPWAY_WRONG_KEYS_PER_MINUTE = 3
    right = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="CI", scopes=["read"]).text
    wrong = right[:-8] + "00000000"
    answers = [call(wrong) for _ in range(8)]  # the minute may turn once in between
    assert {answer.status_code for answer in answers} == {401, 429}
    last = next(answer for answer in answers if answer.status_code == 429)
    assert last["Content-Type"] == "application/problem+json"
    assert 1 <= int(last["Retry-After"]) <= 60
    assert call(right).status_code == 200
    assert call(wrong, "203.0.113.8").status_code == 401


def test_an_address_of_ipv6_counts_by_its_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("203.0.113.7") == "203.0.113.7"


def test_the_exposition_of_metrics_limits_wrong_keys_too(cast: Cast, settings: Any) -> None:
    settings.SLIPWAY_WRONG_KEYS_PER_MINUTE = 2
    told = {"headers": {"Authorization": "Bearer slw_live_no"}, "REMOTE_ADDR": "203.0.113.9"}
    answers = [APIClient().get("/metrics", **told) for _ in range(6)]  # type: ignore[arg-type]
    assert {answer.status_code for answer in answers} == {404, 429}
    assert next(answer for answer in answers if answer.status_code == 429).has_header("Retry-After")


def test_writes_are_limited_by_actor_and_reads_are_not(cast: Cast, settings: Any) -> None:
    settings.SLIPWAY_API_WRITES_PER_MINUTE = 2
    clients = {name: APIClient() for name in ("dana", "ada")}
    for name, client in clients.items():
        client.force_login(cast.user(name))
    models = f"{PROJECTS}digits-team/models/"
    answers = [clients["dana"].post(models, {"name": f"m{number}"}) for number in range(6)]
    refused: Any = next(answer for answer in answers if answer.status_code == 429)
    assert (refused["Content-Type"], refused.json()["title"]) == ("application/problem+json", "Too many requests")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert clients["dana"].get(models).status_code == 200
    assert clients["ada"].post(models, {"name": "other"}).status_code == 201
