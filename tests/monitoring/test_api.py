"""Monitoring over the API, as its contract says."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.monitoring.alerting import evaluate_rules
from apps.monitoring.models import Alert, AlertRule, Channel
from apps.monitoring.spans import settled
from tests.cast import Cast
from tests.monitoring.traffic import serving, traffic

ROOT = "/api/v1/projects/digits-team"
RULE = {"name": "Slow digits", "endpoint": "digits", "metric": "latency_p99", "threshold": 5, "window_seconds": 60}
RULE |= {"for_seconds": 0, "severity": "critical"}
Call = Callable[..., tuple[int, dict]]


@pytest.fixture
def deployment(cast: Cast) -> Deployment:
    """An endpoint with half an hour of traffic."""
    cache.clear()
    now = settled(timezone.now())
    made = serving(cast, live_at=now - timedelta(hours=1), replicas=1)
    traffic(made, now - timedelta(minutes=10), now)
    return made


@pytest.fixture
def call(client: Client, cast: Cast) -> Call:
    """One call of somebody's: the status and the answer."""

    def make(person: str, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        client.force_login(cast.user(person))
        answer = getattr(client, method)(f"{ROOT}/{path}", data=body, content_type="application/json")
        return answer.status_code, answer.json() if answer.content else {}

    return make


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_metrics_come_step_by_step(call: Call, client: Client, cast: Cast, deployment: Deployment) -> None:
    client.force_login(cast.user("vic"))
    end = settled(timezone.now())
    query = {"endpoint": "digits", "from": at(end - timedelta(minutes=5)), "to": at(end), "step": 60}
    body = client.get(f"{ROOT}/metrics/", query).json()
    (digits,) = body["endpoints"]
    assert body["step"] == 60
    assert len(digits["steps"]) in (5, 6)
    step = digits["steps"][2]
    assert step["requests"] == sum(step["counts"].values()) > 0
    assert step["p50"] < step["p90"] < step["p99"] <= step["p99_9"]
    assert len(digits["replicas"][0]["cpu"]) == len(digits["steps"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"step": "7"}, "step"),
        ({"step": "10", "from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}, "step"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
    ],
)
def test_a_range_that_cannot_be_is_named(
    client: Client, cast: Cast, deployment: Deployment, query: dict, field: str
) -> None:
    client.force_login(cast.user("vic"))
    answer = client.get(f"{ROOT}/metrics/", query)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


def test_a_rule_is_made_read_changed_and_deleted(call: Call, deployment: Deployment) -> None:
    status, made = call("omar", "post", "alert-rules/", RULE)
    assert (status, made["endpoint"], made["state"], made["operator"]) == (201, "digits", None, ">")
    assert call("vic", "get", "alert-rules/")[1]["count"] == 1
    assert call("omar", "patch", f"alert-rules/{made['id']}/", {"threshold": 9})[1]["threshold"] == 9
    assert call("vic", "delete", f"alert-rules/{made['id']}/")[0] == 403
    assert call("omar", "delete", f"alert-rules/{made['id']}/")[0] == 204
    assert not AlertRule.objects.exists()


def test_a_wrong_rule_says_which_field(call: Call, deployment: Deployment) -> None:
    assert call("omar", "post", "alert-rules/", {**RULE, "metric": "happiness"})[1]["errors"].keys() == {"metric"}
    assert call("omar", "post", "alert-rules/", {**RULE, "channels": ["nobody"]})[1]["errors"].keys() == {"channels"}
    assert call("omar", "post", "alert-rules/", {**RULE, "endpoint": "elsewhere"})[0] == 404


def test_an_alert_is_listed_and_acknowledged(call: Call, deployment: Deployment) -> None:
    call("omar", "post", "alert-rules/", RULE)
    evaluate_rules()
    (alert,) = call("vic", "get", "alerts/?state=firing")[1]["results"]
    assert (alert["rule"], alert["severity"], alert["threshold"]) == ("Slow digits", "critical", 5)
    assert call("vic", "post", f"alerts/{alert['id']}/acknowledge/", {})[0] == 403
    status, answer = call("omar", "post", f"alerts/{alert['id']}/acknowledge/", {"note": "Mine"})
    assert (status, answer["state"], answer["acknowledged_by"], answer["note"]) == (200, "acknowledged", "Omar", "Mine")
    assert call("ada", "post", f"alerts/{alert['id']}/acknowledge/", {})[0] == 409
    assert call("vic", "get", "alerts/?state=firing")[1]["count"] == 0


def test_a_channels_secret_is_in_one_answer_only(call: Call, deployment: Deployment) -> None:
    wish = {"name": "on-call", "kind": "webhook", "url": "https://hooks.example.com/x"}
    status, made = call("omar", "post", "channels/", wish)
    assert status == 201
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in str(call("vic", "get", "channels/")[1])
    assert call("omar", "post", "channels/", wish)[0] == 422
    assert call("omar", "post", "channels/", {"name": "b", "kind": "mail"})[1]["errors"].keys() == {"to"}
    assert Channel.objects.get().config == {"url": "https://hooks.example.com/x"}


def test_another_projects_things_do_not_exist(call: Call, deployment: Deployment) -> None:
    call("omar", "post", "alert-rules/", RULE)
    evaluate_rules()
    for path in ("metrics/", "alert-rules/", "alerts/", "channels/", f"alert-rules/{AlertRule.objects.get().pk}/"):
        assert call("sam", "get", path)[0] == 404
    assert call("sam", "post", f"alerts/{Alert.objects.get().pk}/acknowledge/", {})[0] == 404
