"""Whom the sweep rings for, who gets the lease, and that nobody waits for a broker twice."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import Settings

from apps.core import jobs, leases
from apps.targets.models import Target
from worker.tasks import sweep


def add_targets(number: int) -> list[int]:
    start = timezone.now() - timedelta(minutes=1)
    times = [start + timedelta(seconds=index) for index in range(number)]
    return [Target.objects.create(name=f"target at {at:%S}", kind="fake", due_at=at).pk for at in times]


def test_who_has_been_due_longest_is_rung_for_first(db: None) -> None:
    keys = add_targets(5)
    assert leases.find_due(Target, 3) == keys[:3]
    leases.take(Target, keys[0], seconds=60)
    assert leases.find_due(Target, 9) == keys[1:]


def test_a_lease_is_taken_once_and_on_its_condition(db: None) -> None:
    [key] = add_targets(1)
    assert leases.take(Target, key, seconds=60, kind="docker") is None
    row = leases.take(Target, key, seconds=60, kind="fake")
    assert row is not None
    assert (row.fence, row.attempts) == (1, 1)
    assert leases.take(Target, key, seconds=60) is None


def test_what_is_given_back_at_once_is_due_at_once(db: None) -> None:
    [key] = add_targets(1)
    for _ in range(100):  # SQLite's clock has milliseconds: most of these fall into one
        row = leases.take(Target, key, seconds=60)
        assert row is not None
        leases.release(row, due_in=0.0)
        assert leases.due(Target).exists()


def test_sweep_for_one_job_rings_for_its_rows_alone(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[jobs.Job, int]] = []
    monkeypatch.setattr(sweep, "ring", lambda job, pk: rung.append((job, pk)))
    (key,) = add_targets(1)
    sweep.sweep("reconcile")
    assert rung == []
    sweep.sweep()
    assert rung == [(jobs.Job.CHECK_TARGET, key)]


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
