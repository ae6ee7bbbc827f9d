"""R1: workers are killed, or fall asleep past their lease, wherever that can happen; nothing is lost or left over."""

import random
import signal

from tests.faults import ROUNDS
from tests.faults.lab import Lab
from tests.faults.storm import Outcome, Storm
from tests.faults.workers import Crew

PATIENCE = 3.0  # leases; at the product's own figures a lease is 60 s


def judge(outcome: Outcome) -> None:
    print(f"\n{outcome}")
    assert not outcome.wrong, outcome.wrong
    assert "Traceback" not in outcome.errors, outcome.errors


def test_a_worker_may_die_at_every_point_once(lab: Lab, crew: Crew, chance: random.Random) -> None:
    storm = Storm("killed at every point", lab, crew, chance)
    points = storm.discover(2.0)
    points = points if ROUNDS >= 200 else chance.sample(points, min(len(points), 2 * ROUNDS))
    storm.strike(points)
    if ROUNDS >= 200:  # recovering passes points of its own
        storm.strike([point for point in crew.met() if point not in points])
    outcome = storm.settle()
    judge(outcome)
    assert len(set(outcome.struck)) >= 0.9 * len(points)


def test_a_worker_may_be_killed_at_any_time(lab: Lab, crew: Crew, chance: random.Random) -> None:
    storm = Storm("killed at random", lab, crew, chance)
    storm.kill(ROUNDS)
    judge(storm.settle())


def test_a_worker_may_fall_asleep_and_wake_when_its_lease_is_another_s(
    lab: Lab, crew: Crew, chance: random.Random
) -> None:
    storm = Storm("asleep past the lease", lab, crew, chance)
    points = [point for point in storm.discover(2.0) if not point.startswith("tests.")]
    storm.strike(chance.sample(points, min(len(points), max(3, ROUNDS // 10))), signal.SIGSTOP)
    judge(storm.settle())
