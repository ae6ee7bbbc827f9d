"""Every page answers each kind of person what they came for, in a fixed number of queries."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import ApiKey, Membership
from apps.deployments import observing
from apps.deployments.models import Deployment, Route
from apps.library.models import Upload
from apps.monitoring import services
from apps.monitoring.alerting import evaluate_rules
from apps.monitoring.models import Alert, AlertRule, Channel, Delivery
from apps.monitoring.rollup import roll_up
from apps.monitoring.spans import settled
from apps.releases import services as releases
from apps.releases.models import Build
from apps.targets.models import Environment
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving, traffic

SLUG = "digits-team"
Page = Callable[..., str]


@pytest.fixture
def now() -> datetime:
    return settled(timezone.now())


@pytest.fixture
def page(client: Client, cast: Cast) -> Page:
    """Somebody opens a page: the text of the answer, which must have the expected status."""

    def open_page(person: str, name: str, *args: object, status: int = 200, query: str = "", **headers: str) -> str:
        client.force_login(cast.user(person))
        answer = client.get(reverse(f"monitoring:{name}", args=[SLUG, *args]) + query, headers=headers)
        assert answer.status_code == status
        return answer.content.decode()

    return open_page


def busy(cast: Cast, now: datetime) -> AlertRule:
    """Two endpoints under load, one of them slow at present, and a rule that notices."""
    digits = serving(cast, "digits", live_at=now - timedelta(hours=2))
    wine = serving(cast, "wine", live_at=now - timedelta(hours=1), replicas=1)
    traffic(digits, now - timedelta(minutes=30), now, slow=(now - timedelta(minutes=5), now))
    traffic(wine, now - timedelta(minutes=30), now, seed=2)
    roll_up()
    return services.create_rule(
        actor=cast.actor("omar"),
        project=cast.project,
        endpoint=digits.endpoint,
        name="Slow digits",
        metric="latency_p99",
        operator=">",
        threshold=50.0,
        window_seconds=60,
        for_seconds=0,
        severity="critical",
    )


def test_a_new_project_is_shown_its_first_steps(page: Page) -> None:
    text = page("dana", "overview")
    assert "Four steps to a live endpoint" in text
    assert "Upload your first model" in text
    assert "Use the sample model" in text
    assert "Upload your first model" not in page("vic", "overview")


def test_the_first_steps_lead_to_the_proposal_the_review_and_the_key(page: Page, cast: Cast, now: datetime) -> None:
    version = world.ready_version(cast)
    assert "Propose digits v1" in page("dana", "overview")
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))
    assert reverse("releases:release", args=[SLUG, release.pk]) in page("dana", "overview")
    deployment = serving(cast, live_at=now)
    assert reverse("accounts:key_new", args=[SLUG]) + "?endpoint=digits" in page("ada", "overview")
    key = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="Mine", scopes=["invoke:digits"]).key
    text = page("ada", "overview")
    assert reverse("accounts:key_new", args=[SLUG]) not in text
    assert reverse("deployments:endpoint_tab", args=[SLUG, deployment.endpoint.name, "code"]) in text
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    assert "Four steps" not in page("ada", "overview")


def test_the_first_steps_say_who_is_missing_where_nobody_can_approve(page: Page, cast: Cast) -> None:
    releases.propose(actor=cast.actor("ada"), version=world.ready_version(cast), endpoint=world.endpoint(cast))
    assert "Nobody else here can approve it" not in page("ada", "overview")
    Membership.objects.filter(user=cast.user("rhea")).update(role="viewer")
    text = page("ada", "overview")
    assert "Nobody else here can approve it" in text
    assert reverse("accounts:members", args=[SLUG]) in text
    assert reverse("targets:environment_edit", args=[SLUG, "production"]) in text
    assert "Ask an administrator to invite one" in page("dana", "overview")


def test_the_overview_puts_the_unhealthy_endpoint_first(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    evaluate_rules()
    text = page("omar", "overview")
    assert text.index("digits</a></h3>") < text.index("wine</a></h3>")
    assert "Slow digits" in text
    assert "Waiting for you" in text
    assert "Waiting for you" not in page("vic", "overview")


QUERIES = {
    ("overview", ""): 23,
    ("endpoint_figures", ""): 8,
    ("monitoring", ""): 7,
    ("monitoring", "?by=release&compare=day"): 10,
    ("monitoring", "?by=replica"): 7,
    ("monitoring", "?endpoint=digits&by=release&compare=day"): 12,
    ("alerts", ""): 12,
    ("rules", ""): 6,
    ("channels", ""): 5,
}


@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_a_page_asks_the_database_as_often_for_many_rows_as_for_one(
    page: Page, client: Client, cast: Cast, now: datetime, django_assert_num_queries: Callable, name: str, query: str
) -> None:
    busy(cast, now)
    crowd(cast, now)
    page("omar", "badges")
    with django_assert_num_queries(QUERIES[name, query]):
        client.get(reverse(f"monitoring:{name}", args=[SLUG]) + query)


def crowd(cast: Cast, now: datetime) -> None:
    """More of everything: endpoints with traffic, rules of every kind with open alerts, channels with deliveries."""
    for index, metric in enumerate(["latency_p99", "requests", "cpu", "memory", "error_share"]):
        deployment = serving(cast, f"more-{index}", live_at=now - timedelta(minutes=10), replicas=1)
        traffic(deployment, now - timedelta(minutes=2), now)
        channel, _secret = services.create_channel(
            actor=cast.actor("omar"), project=cast.project, name=f"Room {index}", kind="mail", config={"to": ["a@b.de"]}
        )
        services.test_channel(actor=cast.actor("omar"), channel=channel)
        rule = services.create_rule(
            actor=cast.actor("omar"),
            project=cast.project,
            endpoint=deployment.endpoint,
            name=f"Rule {index}",
            metric=metric,
            operator=">",
            threshold=0.0,
            window_seconds=300 if index % 2 else 60,
            for_seconds=0,
            severity="warning",
            channels=[channel],
        )
        Alert.objects.create(rule=rule, state=Alert.State.FIRING, value=1, since=now, fired_at=now)


@pytest.mark.parametrize(
    "query",
    ["", "?range=24h&by=release", "?by=replica", "?compare=day", "?by=release&compare=day", "?range=30d&compare=week"],
)
def test_every_way_to_look_at_all_endpoints_answers(page: Page, cast: Cast, now: datetime, query: str) -> None:
    busy(cast, now)
    text = page("vic", "monitoring", query=query)
    assert "spark-line" in text
    assert "digits" in text


@pytest.mark.parametrize("query", ["", "&by=release", "&compare=day", "&range=6h", "&range=7d"])
def test_one_endpoint_is_shown_in_full(page: Page, cast: Cast, now: datetime, query: str) -> None:
    busy(cast, now)
    text = page("vic", "monitoring", query=f"?endpoint=digits{query}")
    assert text.count('class="chart-area"') == 6
    assert "chart-latency-figure" in text


def test_a_release_is_compared_with_itself_of_yesterday(page: Page, cast: Cast, now: datetime) -> None:
    digits = serving(cast, "digits", live_at=now - timedelta(days=2))
    for day in (now, now - timedelta(days=1)):
        traffic(digits, day - timedelta(minutes=5), day)
    assert "spark-past" not in page("vic", "monitoring", query="?by=release")
    assert "spark-past" in page("vic", "monitoring", query="?by=release&compare=day")


def test_one_endpoint_by_replica_shows_what_is_measured_at_replicas(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    text = page("vic", "monitoring", query="?endpoint=digits&by=replica&compare=day")
    assert text.count('class="chart-area"') == 2
    assert "v1 \\u00b7 0" in text
    assert "v1 \\u00b7 1" in text
    assert "so they are not compared" in text


def test_an_own_range_is_kept_in_its_fields(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    text = page("vic", "monitoring", query="?from=2026-05-01T10:00&to=2026-05-01T11:00&by=release")
    assert 'name="from" required value="2026-05-01T10:00" data-utc="2026-05-01T10:00:00.000Z"' in text
    assert 'type="hidden" name="by" value="release"' in text


def test_a_refresh_brings_the_figures_alone(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    text = page("vic", "endpoint_charts", "digits", query="?range=1h&part=data")
    assert text.count("application/json") == 6
    assert "chart-area" not in text


def test_an_unknown_range_is_refused_with_what_there_is(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    assert "15m, 1h, 6h" in page("vic", "monitoring", query="?range=2h", status=422)
    assert "ends before it begins" in page(
        "vic", "monitoring", query="?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", status=422
    )


def test_strangers_find_nothing(page: Page, cast: Cast, now: datetime) -> None:
    rule = busy(cast, now)
    for name, *args in (
        ["overview"],
        ["badges"],
        ["monitoring"],
        ["endpoint_charts", "digits"],
        ["alerts"],
        ["rules"],
        ["rule", rule.pk],
        ["channels"],
    ):
        page("sam", name, *args, status=404)


def test_the_badges_count_what_waits(page: Page, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    evaluate_rules()
    assert "firing: </span>1</span>" in page("vic", "badges")


def test_an_operator_acknowledges_with_a_note(page: Page, client: Client, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    evaluate_rules()
    alert = Alert.objects.get()
    assert "Acknowledge" in page("omar", "alerts")
    client.post(reverse("monitoring:acknowledge", args=[SLUG, alert.pk]), {"note": "Restarting the node"})
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", cast.user("omar"))
    assert "Restarting the node" in page("vic", "alerts")


def test_a_viewer_may_look_but_not_acknowledge(page: Page, client: Client, cast: Cast, now: datetime) -> None:
    busy(cast, now)
    evaluate_rules()
    assert 'name="note"' not in page("vic", "alerts")
    answer = client.post(reverse("monitoring:acknowledge", args=[SLUG, Alert.objects.get().pk]))
    assert answer.status_code == 403


SENTENCE = {
    "metric": "latency_p99",
    "window_seconds": "60",
    "operator": ">",
    "threshold": "50",
    "for_seconds": "0",
    "severity": "warning",
    "is_enabled": "on",
}


def test_a_rule_is_written_as_a_sentence(page: Page, client: Client, cast: Cast, now: datetime) -> None:
    endpoint = busy(cast, now).endpoint
    assert "rule-sentence" in page("omar", "rule_new", query=f"?endpoint={endpoint.pk}")
    client.post(reverse("monitoring:rule_new", args=[SLUG]), {**SENTENCE, "endpoint": endpoint.pk})
    rule = AlertRule.objects.get(name="p99 latency of digits")
    assert (rule.threshold, rule.for_seconds, rule.is_enabled) == (50, 0, True)
    assert "When p99 latency of digits over 1 minute is above 50 ms even for a moment" in page("vic", "rules")
    page("vic", "rule_new", status=403)


def test_a_rule_that_cannot_be_says_why(client: Client, cast: Cast, now: datetime) -> None:
    endpoint = busy(cast, now).endpoint
    client.force_login(cast.user("omar"))
    answer = client.post(
        reverse("monitoring:rule_new", args=[SLUG]), {**SENTENCE, "endpoint": endpoint.pk, "threshold": "-1"}
    )
    assert answer.status_code == 422
    assert AlertRule.objects.count() == 1


def test_the_preview_says_when_it_would_have_fired(page: Page, cast: Cast, now: datetime) -> None:
    endpoint = busy(cast, now).endpoint
    query = "?" + "&".join(f"{name}={value}" for name, value in {**SENTENCE, "endpoint": endpoint.pk}.items())
    assert "would have fired <strong>once</strong>" in page("omar", "rule_preview", query=query)
    assert "would not have fired" in page("omar", "rule_preview", query=query.replace("threshold=50", "threshold=5000"))


def test_a_webhooks_secret_is_shown_once(page: Page, client: Client, cast: Cast, queue: list) -> None:
    client.force_login(cast.user("omar"))
    answer = client.post(
        reverse("monitoring:channel_new", args=[SLUG]),
        {"name": "on-call", "kind": "webhook", "url": "https://hooks.example.com/x"},
    )
    assert "whsec_" in answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    channel = Channel.objects.get()
    assert "whsec_" not in page("omar", "channel", channel.pk)
    client.post(reverse("monitoring:channel_test", args=[SLUG, channel.pk]))
    assert Delivery.objects.get().event == "channel.test"
    assert "A test from Slipway" in page("vic", "channel", channel.pk)


def test_a_channel_needs_the_address_of_its_kind(client: Client, cast: Cast) -> None:
    client.force_login(cast.user("omar"))
    new = reverse("monitoring:channel_new", args=[SLUG])
    assert client.post(new, {"name": "a", "kind": "webhook", "url": "nonsense"}).status_code == 422
    assert client.post(new, {"name": "a", "kind": "mail", "to": "ada@example.com, nobody"}).status_code == 422
    assert client.post(new, {"name": "a", "kind": "mail", "to": "ada@example.com, b@example.com"}).status_code == 302
    assert Channel.objects.get().config == {"to": ["ada@example.com", "b@example.com"]}


def test_what_waits_leads_to_where_it_is_done(page: Page, cast: Cast, now: datetime) -> None:
    version = world.ready_version(cast, "churn")
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast, "churn"))
    refused = world.ready_version(cast, "churn", state="refused")
    assert reverse("releases:release", args=[SLUG, release.pk]) in page("rhea", "overview")
    assert reverse("library:version", args=[SLUG, "churn", refused.number]) in page("dana", "overview")
    assert "Waiting for you" not in page("omar", "overview")


def test_an_operator_is_told_of_what_waits_to_be_started_built_or_mended(page: Page, cast: Cast, now: datetime) -> None:
    built = serving(cast, "digits", live_at=now).release
    Route.objects.all().delete()
    Deployment.objects.all().delete()
    assert "it is approved and built" not in page("omar", "overview")
    Environment.objects.update(starts_by_itself=False)
    assert "it is approved and built" in page("omar", "overview")
    assert "it is approved and built" not in page("dana", "overview")
    Build.objects.filter(release=built).update(state="failed")
    assert "could not be built" in page("omar", "overview")
    Deployment.objects.filter(pk=serving(cast, "wine", live_at=now).pk).update(phase="failed")
    assert "failed at wine" in page("omar", "overview")
    serving(cast, "wine", live_at=now)
    assert "failed at wine" not in page("omar", "overview")


def test_an_upload_that_broke_off_waits_for_its_sender(page: Page, cast: Cast, now: datetime) -> None:
    facts: dict[str, Any] = {"project": cast.project, "created_by": cast.user("dana"), "name": "a.onnx", "size": 10}
    upload = Upload.objects.create(**facts, expires_at=now + timedelta(days=1))
    assert "broke off" not in page("dana", "overview")
    Upload.objects.update(updated_at=now - timedelta(minutes=20))
    assert "<strong>a.onnx</strong> broke off" in page("dana", "overview")
    assert "broke off" not in page("ada", "overview")
    Upload.objects.filter(pk=upload.pk).update(state="expired")
    assert "was left for too long" in page("dana", "overview")
    Upload.objects.create(**facts, expires_at=now + timedelta(days=1))
    assert "was left for too long" not in page("dana", "overview")


def test_only_who_may_manage_keys_is_told_that_one_expires(page: Page, cast: Cast, now: datetime) -> None:
    key = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="CI", scopes=["read"]).key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=now + timedelta(days=3), created_by=cast.user("dana"))
    assert "expires soon" in page("ada", "overview")
    assert "expires soon" not in page("dana", "overview")


def test_an_exchanged_replica_waits_for_those_who_operate(page: Page, cast: Cast, now: datetime) -> None:
    replica = serving(cast, live_at=now).replica_set.get(index=0)
    observing.alarm_exchanged(replica, "sha256:another")
    link = reverse("deployments:deployment", args=[SLUG, replica.deployment_id])
    for person, is_told in (("omar", True), ("vic", False)):
        text = page(person, "overview")
        assert ("Somebody exchanged a replica" in text) is is_told
        assert (f'href="{link}">Somebody' in text) is is_told
