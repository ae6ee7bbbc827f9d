"""Claims before rings: whom the sweep rings for, and that it goes round."""

import time

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import Settings

from apps.core import jobs, leases
from apps.targets.models import Target
from worker.tasks import sweep


def add_targets(number: int) -> list[int]:
    now = timezone.now()
    return [Target.objects.create(name=f"target-{index}", kind="fake", due_at=now).pk for index in range(number)]


def test_what_was_claimed_comes_after_what_was_not(db: None) -> None:
    keys = add_targets(5)
    assert leases.claim(Target, most=3) == keys[:3]
    assert leases.claim(Target, most=3) == keys[3:]
    assert leases.claim(Target, most=3) == []


def test_what_somebody_works_on_is_not_claimed(db: None) -> None:
    held, free = add_targets(2)
    leases.take(Target, held, seconds=60)
    assert leases.claim(Target, most=5) == [free]


def test_a_claimed_row_can_be_taken_at_once(db: None) -> None:
    [key] = add_targets(1)
    leases.claim(Target, most=1)
    assert leases.take(Target, key, seconds=60) is not None


def test_rounds_that_piled_up_are_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setitem(sweep.ROUNDS, "equip", lambda: ran.append(1))
    monkeypatch.setattr(sweep, "_last_rounds", {})
    for _message in range(50):
        sweep.run_round("equip")
    assert ran == [1]


def test_a_broker_that_is_away_is_not_asked_again_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SLIPWAY_EMBEDDED = False
    asked = []

    def refuse(*_args: object, **_options: object) -> None:
        asked.append(1)
        raise OperationalError("nobody there")

    monkeypatch.setattr(jobs, "_silent_until", 0.0)
    monkeypatch.setattr(jobs.current_app, "send_task", refuse)
    for pk in range(20):
        jobs.ring(jobs.Job.BUILD, pk)
    assert asked == [1]
    monkeypatch.setattr(jobs, "_silent_until", time.monotonic())
    jobs.ring(jobs.Job.BUILD, 1)
    assert asked == [1, 1]
