"""A notice is tried until it arrives or has been tried enough; every try is written down."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models import F
from django.utils import timezone

from apps.audit.models import Entry
from apps.core.leases import due
from apps.monitoring import deliveries, services
from apps.monitoring.models import Channel, Delivery
from tests.cast import Cast
from worker.errors import ToolError
from worker.notifiers.fake import WORLD
from worker.specs import Message
from worker.tasks.deliver import deliver

AWAY = ToolError(Message("%(host)s does not answer.", {"host": "hooks.example.com"}), kind="unreachable")


@pytest.fixture
def delivery(cast: Cast, queue: list) -> Iterator[Delivery]:
    """A test notice queued for a channel that only collects."""
    cache.clear()
    WORLD.clear()
    channel = Channel.objects.create(project=cast.project, name="stage", kind="fake")
    yield services.test_channel(actor=cast.actor("omar"), channel=channel)
    WORLD.clear()


def let_time_pass(delivery: Delivery) -> None:
    """As if the moment of the next try had come."""
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def test_a_notice_arrives_once(delivery: Delivery) -> None:
    deliver(delivery.pk)
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status, delivery.due_at) == ("sent", 200, None)
    assert [notice.key for _channel, notice in WORLD.sent] == [str(delivery.key)]
    assert [one["status"] for one in delivery.tries] == [200]


def test_what_fails_waits_and_is_tried_again(delivery: Delivery) -> None:
    WORLD.error = AWAY
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.failure["params"]) == ("queued", {"host": "hooks.example.com"})
    assert timedelta(seconds=5) < delivery.due_at - timezone.now() < timedelta(seconds=15)
    WORLD.error = None
    deliver(delivery.pk)  # rung for too early
    assert not WORLD.sent
    let_time_pass(delivery)
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, len(delivery.tries), delivery.failure) == ("sent", 2, None)
    assert WORLD.sent[0][1].key == str(delivery.key)


def test_after_eight_tries_it_gives_up_and_the_log_says_so(delivery: Delivery) -> None:
    WORLD.error = AWAY
    waits = []
    for _ in range(12):
        deliver(delivery.pk)
        delivery.refresh_from_db()
        if delivery.state == "queued":
            waits.append(round((delivery.due_at - timezone.now()).total_seconds()))
        let_time_pass(delivery)
    assert (delivery.state, delivery.attempts, len(delivery.tries)) == ("failed", 8, 8)
    assert waits == sorted(waits)
    assert Entry.objects.filter(action="delivery.failed").count() == 1


def test_what_can_never_arrive_is_not_tried_again(delivery: Delivery) -> None:
    WORLD.error = ToolError("There is no such address.", permanent=True)
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.due_at) == ("failed", 1, None)


def test_one_worker_at_a_time_and_a_dead_ones_work_is_taken_over(delivery: Delivery) -> None:
    held = deliveries.begin_delivery(delivery.pk)
    assert deliveries.begin_delivery(delivery.pk) is None
    Delivery.objects.update(lease_until=F("lease_until") - timedelta(hours=1))
    assert list(due(Delivery)) == [delivery]
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, held.fence, delivery.fence) == ("sent", 1, 2)


def test_a_secret_that_does_not_open_is_said_in_the_history(delivery: Delivery) -> None:
    Channel.objects.update(sealed='{"k": "gone"}')
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert delivery.state == "failed"
    assert "does not open" in delivery.failure["text"]
