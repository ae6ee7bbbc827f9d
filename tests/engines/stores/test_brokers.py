"""RabbitMQ and Redis as the doorbell of a real worker on PostgreSQL: rung, emptied, hung, gone and back."""

import statistics
import time
from collections.abc import Iterator
from itertools import count

import pytest
from celery import Celery
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from apps.core import jobs
from apps.core.actors import SYSTEM
from apps.core.jobs import Job, enqueue
from apps.targets import services as targets
from apps.targets.models import Target
from tests.engines import brokers
from tests.engines.brokers import Broker, RabbitMQ, Redis
from tests.engines.databases import Cluster, used_here
from tests.engines.stores.production import Worker, rung_through
from tests.faults import ROUNDS
from tests.gateway.conftest import wait_until
from worker.tasks.sweep import sweep

_number = count(1)
AWAY_SECONDS = 60.0 if ROUNDS >= 200 else 0.0
SWEEP_SECONDS = 15.0 if ROUNDS >= 200 else 0.5  # 15, as beat has it
PICKED_UP_SECONDS = 30.0
INTENTS = 50


@pytest.fixture(scope="module", params=[Redis, RabbitMQ], ids=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with brokers.serve(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def worker(
    broker: Broker, server: Cluster, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker, and the database that it shares with this process."""
    url = server.create_with_tables(f"rung_{broker.port}")
    running = Worker(tmp_path_factory.mktemp("worker"), url, broker.url)
    with django_db_blocker.unblock(), used_here(url):
        running.start()
        yield running
        running.kill()


@pytest.fixture(autouse=True)
def app(broker: Broker, worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    settings.SLIPWAY_EMBEDDED = False
    monkeypatch.setattr(jobs, "_silent_until", 0.0)
    with rung_through(broker.url) as ringing:
        yield ringing


def ask_for_checks(number: int) -> list[int]:
    """New targets whose check somebody asks for; their keys."""
    now = timezone.now()
    with transaction.atomic():
        targets = [Target(name=f"target-{next(_number)}", kind="fake", due_at=now) for _target in range(number)]
        keys = [target.pk for target in Target.objects.bulk_create(targets)]
        for pk in keys:
            enqueue(Job.CHECK_TARGET, pk)
    return keys


def wish(number: int) -> list[int]:
    """So many checks that people ask for, each in a request of its own; the keys, and none of them waited."""
    keys = [Target.objects.create(name=f"target-{next(_number)}", kind="fake").pk for _target in range(number)]
    for pk in keys:
        begun = time.monotonic()
        targets.ask_for_check(actor=SYSTEM, target=Target.objects.get(pk=pk))
        assert time.monotonic() - begun < 5
    return keys


def wait_for_sweep(keys: list[int]) -> float:
    """The seconds until all is done, with nothing but the clock's sweep to bring it back."""
    begun = swept = time.monotonic()
    while Target.objects.filter(pk__in=keys, checked_at=None).exists():
        assert time.monotonic() < begun + PICKED_UP_SECONDS, "not picked up in time"
        if time.monotonic() > swept + SWEEP_SECONDS:
            sweep()
            swept = time.monotonic()
        time.sleep(0.05)
    return time.monotonic() - begun


def wait_for(keys: list[int], seconds: float = 60.0) -> None:
    wait_until(lambda: not Target.objects.filter(pk__in=keys, checked_at=None).exists(), seconds)


def test_what_is_rung_for_is_done_at_once(broker: Broker) -> None:
    wait_for(ask_for_checks(1))
    begun = time.monotonic()
    keys = ask_for_checks(50)
    wait_for(keys)
    seconds = time.monotonic() - begun
    waited = Target.objects.filter(pk__in=keys).values_list(F("checked_at") - F("created_at"), flat=True)
    median = statistics.median(wait.total_seconds() for wait in waited)
    print(f"\n{type(broker).__name__}: 50 jobs in {seconds:.2f} s, half of them within {median * 1000:.0f} ms")
    assert not Target.objects.filter(pk__in=keys).exclude(fence=1).exists()  # once each


def test_an_emptied_broker_loses_nothing(broker: Broker, worker: Worker) -> None:
    worker.kill()
    keys = wish(INTENTS)
    wait_until(lambda: broker.depth("celery") >= INTENTS)
    broker.empty("celery", "heavy")
    assert broker.depth("celery") == 0
    worker.start()
    seconds = wait_for_sweep(keys)
    print(f"\n{type(broker).__name__} emptied: {INTENTS} of {INTENTS} intents picked up within {seconds:.1f} s")


def test_work_of_a_worker_that_was_killed_is_done_by_the_next(broker: Broker, worker: Worker) -> None:
    """What it had been given goes back to RabbitMQ's queue; in Redis it is out of sight, and the sweep rings again."""
    worker.pause()
    keys = ask_for_checks(3)
    worker.kill()
    worker.start()
    sweep()
    wait_for(keys)


def test_a_page_does_not_wait_for_a_broker_that_is_gone_and_the_worker_finds_it_again(broker: Broker) -> None:
    under_way = ask_for_checks(INTENTS)
    wait_until(lambda: Target.objects.filter(pk__in=under_way).exclude(checked_at=None).exists())
    broker.stop()
    since = time.monotonic()
    keys = under_way + wish(INTENTS)
    asked = time.monotonic() - since
    time.sleep(max(0.0, AWAY_SECONDS - asked))
    away = time.monotonic() - since
    broker.start()
    jobs._silent_until = 0.0
    seconds = wait_for_sweep(keys)
    name = type(broker).__name__
    print(f"\n{name} away for {away:.0f} s: {INTENTS} intents taken in {asked:.1f} s, all done {seconds:.1f} s later")


def test_a_page_waits_for_a_hung_broker_once_and_only_for_seconds(broker: Broker) -> None:
    broker.pause()
    try:
        begun = time.monotonic()
        keys = ask_for_checks(20)
        assert time.monotonic() - begun < 15  # twenty times the patience of one would be minutes
    finally:
        broker.resume()
    jobs._silent_until = 0.0
    sweep()
    wait_for(keys, seconds=60)


def test_a_message_that_is_not_json_is_refused_and_the_next_one_served(app: Celery) -> None:
    app.conf.accept_content = ["json", "pickle"]
    app.send_task("slipway.check_target", args=[1], serializer="pickle")
    wait_for(ask_for_checks(3))


def test_long_work_waits_in_a_queue_of_its_own(app: Celery) -> None:
    routes = {job: app.amqp.router.route({}, f"slipway.{job}")["queue"].name for job in Job}
    assert {job for job, queue in routes.items() if queue == "heavy"} == {Job.EXAMINE, Job.BUILD}
