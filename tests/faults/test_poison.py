"""R16: work that kills whoever touches it is put aside with a reason, and everything else goes on."""

import time
from collections.abc import Callable

import pytest

from apps.core import leases
from apps.core.leases import Leased
from apps.deployments import observing
from apps.deployments.models import Deployment
from apps.monitoring import deliveries
from apps.monitoring.models import Delivery
from apps.targets import services as targets
from apps.targets.models import Target
from tests import world
from tests.faults import ROUNDS
from tests.faults.lab import Lab
from tests.faults.workers import Crew

OTHERS = 49 if ROUNDS >= 200 else 4
ATTEMPTS = 5


def start_many(lab: Lab, name: str, number: int) -> list[Deployment]:
    target = Target.objects.get(name="lab")
    return [lab.start(world.endpoint(lab.cast, f"{name}-{each}", target=target)) for each in range(number)]


def run_until_settled(crew: Crew, rows: list[Deployment], poisoned: Deployment | None = None) -> tuple[float, int]:
    """Replace every worker that dies, until all run and the poison is put aside: seconds for the first, and deaths."""
    since, deaths, all_run_after = time.monotonic(), 0, 0.0
    others = Deployment.objects.filter(pk__in=[row.pk for row in rows if row != poisoned])
    while not all_run_after or (poisoned and "parked" not in Deployment.objects.get(pk=poisoned.pk).conditions):
        assert time.monotonic() < since + 180, (all_run_after, Deployment.objects.values_list("phase", "attempts"))
        if not crew.alive:
            crew.fork()
            deaths += 1
        time.sleep(0.02)
        crew.look()
        if not all_run_after and not others.exclude(phase="running").exists():
            all_run_after = time.monotonic() - since
    return all_run_after, deaths


def test_a_deployment_that_kills_every_worker_is_parked_and_the_others_run(
    lab: Lab, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "PARK_AFTER", ATTEMPTS)
    monkeypatch.setattr(observing, "CALM_SECONDS", 60.0)  # what runs from before takes no time from what starts
    crew.fork()
    without, _deaths = run_until_settled(crew, start_many(lab, "sound", OTHERS))
    crew.kill(*crew.alive)
    rows = start_many(lab, "poison", OTHERS + 1)
    poisoned = rows[OTHERS // 2]
    lab.host.poison = f"slipway-{poisoned.pk}-"
    crew.fork()
    seconds, deaths = run_until_settled(crew, rows, poisoned)
    print(f"\n1 poison among {OTHERS + 1}: {deaths} workers lost, then parked; the others ran after {seconds:.1f} s")
    print(f"without poison {without:.1f} s; a worker that dies is missed for as long as it takes to start another")
    assert deaths == ATTEMPTS
    poisoned.refresh_from_db()
    assert poisoned.lease_until is None
    assert poisoned.due_at is not None, "it is tried again, much later"


def lose_workers(begin: Callable[[int], Leased | None], row: Leased) -> int:
    """How many workers may begin and never come back before nobody is given the work any more."""
    lost = 0
    while begin(row.pk) is not None and lost < 100:
        leases.forfeit(type(row))
        lost += 1
    return lost


def test_a_notice_and_a_check_that_kill_every_worker_are_given_up_with_a_reason(lab: Lab) -> None:
    lab.notify()
    delivery, target = Delivery.objects.get(), Target.objects.get(name="lab")
    assert 3 <= lose_workers(deliveries.begin_delivery, delivery) <= 10
    assert 3 <= lose_workers(targets.begin_check, target) <= 10
    delivery.refresh_from_db()
    target.refresh_from_db()
    assert (delivery.state, delivery.due_at) == ("failed", None)
    assert "lost" in (delivery.failure or {})["text"]
    assert target.is_reachable is False
    assert "lost" in target.check_lines[0]["detail"]["text"]
