"""Alerts from measurement to notice: what is judged, who is told, what the log says."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from apps.accounts.actors import actor_for_key
from apps.accounts.models import ApiKey
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.core.jobs import Job
from apps.deployments.models import Deployment
from apps.monitoring import services
from apps.monitoring.alerting import evaluate_rules
from apps.monitoring.intake import note_collected
from apps.monitoring.measuring import measure
from apps.monitoring.models import Alert, AlertRule, Channel, Delivery, Sample
from apps.monitoring.spans import settled
from tests.cast import Cast
from tests.monitoring.traffic import serving, window


@pytest.fixture
def deployment(cast: Cast) -> Deployment:
    cache.clear()
    return serving(cast, live_at=timezone.now() - timedelta(hours=1))


@pytest.fixture
def channel(cast: Cast, queue: list) -> Channel:
    return services.create_channel(
        actor=cast.actor("omar"),
        project=cast.project,
        name="on-call",
        kind="webhook",
        config={"url": "https://hooks.example.com/x"},
    )[0]


def rule(cast: Cast, deployment: Deployment, *channels: Channel, **facts: object) -> AlertRule:
    values = {
        "name": "Slow digits",
        "metric": "latency_p99",
        "operator": ">",
        "threshold": 50.0,
        "window_seconds": 60,
        "for_seconds": 0,
        "severity": "critical",
    }
    return services.create_rule(
        actor=cast.actor("omar"),
        project=cast.project,
        endpoint=deployment.endpoint,
        channels=channels,
        **{**values, **facts},
    )


def minute_of(deployment: Deployment, latency_ms: float, ago: int = 0, failed: int = 0) -> None:
    """Sixty seconds of calls that all took as long, ending so many seconds ago."""
    end = settled(timezone.now()) - timedelta(seconds=ago)
    for step in range(1, 7):
        counts = {"2xx": 10 - failed, "5xx": failed}
        at = end - timedelta(seconds=10 * step)
        window(deployment.endpoint, deployment, at, latencies_ms=[latency_ms] * 10, counts=counts, in_flight=4).save()


def actions() -> list[str]:
    return list(Entry.objects.filter(object_type="alert").order_by("seq").values_list("action", flat=True))


def test_a_slow_endpoint_fires_tells_and_is_logged_once(
    cast: Cast, deployment: Deployment, channel: Channel, queue: list, django_capture_on_commit_callbacks: Callable
) -> None:
    rule(cast, deployment, channel)
    minute_of(deployment, 80)
    with django_capture_on_commit_callbacks(execute=True):
        assert evaluate_rules() == 1
    assert evaluate_rules() == 0
    alert, delivery = Alert.objects.get(), Delivery.objects.get()
    assert (alert.state, round(alert.value)) == ("firing", 80)
    assert actions() == ["alert.fired"]
    assert queue == [(Job.DELIVER, delivery.pk)]
    assert delivery.notice["key"] == str(delivery.key)
    assert delivery.notice["data"]["endpoint"] == "digits"
    assert "When p99 latency of digits over 1 minute is above 50 ms" in delivery.notice["text"]


def test_it_resolves_after_a_while_and_says_so(cast: Cast, deployment: Deployment, channel: Channel) -> None:
    rule(cast, deployment, channel)
    minute_of(deployment, 80, ago=120)
    evaluate_rules(timezone.now() - timedelta(seconds=120))
    minute_of(deployment, 5)
    evaluate_rules()
    assert Alert.objects.get().calm_since is not None
    evaluate_rules(timezone.now() + timedelta(seconds=31))
    assert Alert.objects.get().state == "resolved"
    assert actions() == ["alert.fired", "alert.resolved"]
    assert set(Delivery.objects.values_list("event", flat=True)) == {"alert.firing", "alert.resolved"}


def test_silence_resolves_nothing(cast: Cast, deployment: Deployment) -> None:
    rule(cast, deployment)
    minute_of(deployment, 80)
    evaluate_rules()
    evaluate_rules(timezone.now() + timedelta(hours=2))
    assert Alert.objects.get().state == "firing"


def test_a_spike_leaves_no_trace_in_the_log(cast: Cast, deployment: Deployment, channel: Channel) -> None:
    rule(cast, deployment, channel, for_seconds=300)
    minute_of(deployment, 80, ago=120)
    evaluate_rules(timezone.now() - timedelta(seconds=120))
    assert Alert.objects.get().state == "pending"
    minute_of(deployment, 5)
    evaluate_rules()
    assert Alert.objects.get().state == "resolved"
    assert actions() == []
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("metric", "value"),
    [("requests", 1), ("error_share", 30), ("latency_p50", 20), ("latency_p90", 20), ("in_flight", 4)],
)
def test_each_metric_of_traffic_is_measured(cast: Cast, deployment: Deployment, metric: str, value: float) -> None:
    made = rule(cast, deployment, metric=metric)
    minute_of(deployment, 20, failed=3)
    assert measure([made], timezone.now())[made.pk] == pytest.approx(value, rel=0.01)


def test_resources_and_replicas_are_measured(cast: Cast, deployment: Deployment) -> None:
    rules = [rule(cast, deployment, metric=metric) for metric in ("cpu", "memory", "replicas_ready")]
    at = settled(timezone.now()) - timedelta(seconds=5)
    for name, cpu, memory in (("a", 0.2, 100e6), ("b", 0.9, 300e6)):
        Sample.objects.create(deployment=deployment, replica_name=name, at=at, cpu=cpu, memory_bytes=memory)
    deployment.replica_set.filter(index=0).update(state="exited")
    values = measure(rules, timezone.now())
    assert [values[one.pk] for one in rules] == [pytest.approx(90), 300, 1]


def test_silence_is_no_answer_about_latency(cast: Cast, deployment: Deployment) -> None:
    made = rule(cast, deployment)
    assert measure([made], timezone.now())[made.pk] is None
    assert evaluate_rules() == 0


def test_silence_is_zero_requests_while_a_gateway_is_heard(cast: Cast, deployment: Deployment) -> None:
    many = rule(cast, deployment, metric="requests", operator=">")
    few = rule(cast, deployment, metric="requests", operator="<", threshold=1)
    assert [measure([many, few], timezone.now())[one.pk] for one in (many, few)] == [None, 0]
    note_collected("http://127.0.0.1:1", 7)
    assert measure([many], timezone.now())[many.pk] == 0


def test_rules_are_judged_in_a_fixed_number_of_queries(
    cast: Cast, deployment: Deployment, django_assert_max_num_queries: Callable
) -> None:
    for index in range(8):
        rule(cast, deployment, name=f"rule {index}", threshold=1000.0)
    minute_of(deployment, 20)
    with django_assert_max_num_queries(6):
        evaluate_rules()


def test_only_who_may_acknowledges_and_only_once(cast: Cast, deployment: Deployment) -> None:
    rule(cast, deployment)
    minute_of(deployment, 80)
    evaluate_rules()
    alert = Alert.objects.get()
    with pytest.raises(NotAllowed):
        services.acknowledge(actor=cast.actor("vic"), alert=alert)
    services.acknowledge(actor=cast.actor("omar"), alert=alert, note=" On it ")
    assert actions() == ["alert.fired", "alert.acknowledged"]
    assert Entry.objects.order_by("-seq").first().reason == "On it"
    with pytest.raises(StateConflict):
        services.acknowledge(actor=cast.actor("ada"), alert=alert)


def test_two_people_acknowledge_at_once_and_one_wins(cast: Cast, deployment: Deployment) -> None:
    rule(cast, deployment)
    minute_of(deployment, 80)
    evaluate_rules()
    mine, theirs = Alert.objects.get(), Alert.objects.get()
    services.acknowledge(actor=cast.actor("omar"), alert=mine)
    with pytest.raises(StateConflict):
        services.acknowledge(actor=cast.actor("ada"), alert=theirs)
    assert actions() == ["alert.fired", "alert.acknowledged"]


def test_a_disabled_rule_ends_its_alert(cast: Cast, deployment: Deployment) -> None:
    made = rule(cast, deployment)
    minute_of(deployment, 80)
    evaluate_rules()
    services.change_rule(actor=cast.actor("omar"), rule=made, is_enabled=False)
    assert Alert.objects.get().state == "resolved"
    assert evaluate_rules() == 0


def test_a_rule_over_another_projects_endpoint_or_channel_cannot_be(
    cast: Cast, deployment: Deployment, channel: Channel
) -> None:
    made = rule(cast, deployment)
    channel.project = cast.elsewhere
    channel.save()
    with pytest.raises(Invalid):
        services.change_rule(actor=cast.actor("omar"), rule=made, channels=[channel])
    with pytest.raises(Invalid) as refused:
        rule(cast, deployment, metric="happiness", window_seconds=5)
    assert set(refused.value.errors) == {"metric", "window_seconds"}


def test_who_may_write_rules(cast: Cast, deployment: Deployment) -> None:
    made = rule(cast, deployment)
    for name in ("vic", "dana", "rhea"):
        with pytest.raises(NotAllowed):
            services.change_rule(actor=cast.actor(name), rule=made, threshold=1.0)
    services.change_rule(actor=cast.actor("ada"), rule=made, threshold=75.0)
    entry = Entry.objects.filter(action="rule.changed").get()
    assert '"threshold": "75.0"' in entry.after


def test_a_secret_never_reaches_the_log_and_opens_only_for_its_channel(cast: Cast, queue: list) -> None:
    made, secret = services.create_channel(
        actor=cast.actor("omar"), project=cast.project, name="hook", kind="webhook", config={"url": "https://a.example"}
    )
    newer = services.renew_secret(actor=cast.actor("omar"), channel=made)
    assert secret.startswith("whsec_")
    assert secret != newer
    assert newer not in made.sealed
    assert not Entry.objects.filter(after__contains="whsec_").exists()


def test_a_channel_name_is_taken_once(cast: Cast, channel: Channel) -> None:
    with pytest.raises(Invalid) as refused:
        services.create_channel(
            actor=cast.actor("omar"), project=cast.project, name="on-call", kind="mail", config={"to": ["a@b.example"]}
        )
    assert "name" in refused.value.errors


def test_a_key_may_read_but_not_write(cast: Cast, deployment: Deployment) -> None:
    key = ApiKey.objects.create(
        key_id="abcdefgh",
        prefix="slw_ci",
        last4="1234",
        digest=b"0" * 32,
        name="reader",
        project=cast.project,
        scopes=["read"],
        created_by=cast.user("omar"),
        expires_at=timezone.now() + timedelta(days=1),
    )
    with pytest.raises(NotAllowed):
        services.create_channel(
            actor=actor_for_key(key), project=cast.project, name="x", kind="mail", config={"to": ["a@b.example"]}
        )
