"""R1: workers are killed, or fall asleep past their lease, wherever that can happen; nothing is lost or left over."""

import random
import signal
from pathlib import Path

from apps.core.jobs import Job
from tests.faults import ROUNDS, naive
from tests.faults.lab import LEASE_SECONDS, Lab
from tests.faults.storm import Outcome, Storm
from tests.faults.workers import TASKS, Crew

PAUSES = max(3, ROUNDS // 10)


def judge(outcome: Outcome) -> None:
    print(f"\n{outcome}")
    assert not outcome.wrong, outcome.wrong
    assert "Traceback" not in outcome.errors, outcome.errors
    assert "deadlock" not in outcome.errors, outcome.errors


def test_a_worker_may_die_at_every_point(lab: Lab, crew: Crew, chance: random.Random) -> None:
    storm = Storm("killed each at another point", lab, crew, chance)
    storm.strike(ROUNDS, signal.SIGKILL, seconds=90.0)
    outcome = storm.settle()
    judge(outcome)
    assert len(set(outcome.struck)) >= min(ROUNDS, 70)
    print(f"passed by the last worker and struck by none: {sorted(outcome.missed)}")


def test_a_worker_may_be_killed_at_any_time(lab: Lab, crew: Crew, chance: random.Random) -> None:
    storm = Storm("killed at random", lab, crew, chance)
    storm.kill(ROUNDS)
    judge(storm.settle())


def test_a_worker_may_fall_asleep_and_wake_when_its_lease_is_another_s(
    lab: Lab, crew: Crew, chance: random.Random
) -> None:
    storm = Storm("asleep past their lease", lab, crew, chance)
    storm.strike(PAUSES, signal.SIGSTOP, seconds=120.0, skips=2)
    outcome = storm.settle()
    judge(outcome)
    assert len(set(outcome.struck)) >= PAUSES


def test_a_naive_worker_is_found_out(lab: Lab, chance: random.Random, tmp_path: Path) -> None:
    crew = Crew(tmp_path, {**TASKS, Job.RECONCILE: naive.reconcile}, where="tests.")
    storm = Storm("killed each at another point, and naive", lab, crew, chance)
    try:
        storm.strike(8, signal.SIGKILL, seconds=10.0)
        outcome = storm.settle(patience=4 * LEASE_SECONDS)
    finally:
        crew.end()
    print(f"\n{outcome}, e.g. {outcome.wrong[:3]}")
    assert any("is an orphan" in line or "is wanted" in line or "replicas" in line for line in outcome.wrong)


def test_rings_that_come_often_late_and_in_any_order_do_what_one_does(
    lab: Lab, chance: random.Random, tmp_path: Path
) -> None:
    crew = Crew(tmp_path, repeats=5)
    storm = Storm("rung up to five times for everything", lab, crew, chance)
    try:
        storm.work(workers=3, seconds=max(1.0, ROUNDS / 10))
        judge(storm.settle())
    finally:
        crew.end()
