"""The plan is a pure function: what to start, whom to ask, what to take away."""

import pytest

from apps.deployments.plan import Plan, Wanted, is_stuck, may_start, plan


def test_what_is_missing_is_started_and_what_runs_is_asked() -> None:
    wanted = [Wanted(0, "a"), Wanted(1, "b", started_ago=5.0, healthy_for=1.0)]
    assert plan(wanted, {"b": "running"}) == Plan(start=(0,), probe=(1,))


def test_what_nobody_wants_is_removed() -> None:
    assert plan([], {"x": "running", "y": "exited"}).remove == ("x", "y")


@pytest.mark.parametrize(
    ("restarts", "started_ago", "may"),
    [(0, 0.1, True), (1, 1.0, False), (1, 2.1, True), (4, 15.0, False), (9, 61.0, True)],
)
def test_restarts_wait_longer_each_time_up_to_a_minute(restarts: int, started_ago: float, may: bool) -> None:
    assert may_start(Wanted(0, "a", restarts=restarts, started_ago=started_ago)) is may


@pytest.mark.parametrize(
    ("started_ago", "unready_for", "stuck"),
    [(100.0, 100.0, False), (301.0, 301.0, True), (500.0, 29.0, False), (500.0, 31.0, True)],
)
def test_one_that_was_ready_is_given_up_sooner_than_one_that_is_still_loading(
    started_ago: float, unready_for: float, stuck: bool
) -> None:
    assert is_stuck(Wanted(0, "a", started_ago=started_ago, unready_for=unready_for)) is stuck
