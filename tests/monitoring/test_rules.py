"""When alerts begin, fire and end: tables of values against states."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.monitoring.rules import ACKNOWLEDGED, FIRING, PENDING, RESOLVED, Condition, Standing, judge, replay

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ABOVE = Condition(">", 100.0, 60)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def walk(condition: Condition, values: list[float | None], step: int = 30) -> list[str]:
    """The state after each value, one every ``step`` seconds; “-” where there is no alert."""
    standing, states = None, []
    for index, value in enumerate(values):
        standing = judge(condition, standing, value, after(step * index))
        states.append(standing.state if standing else "-")
        if standing and standing.state == RESOLVED:
            standing = None
    return states


@pytest.mark.parametrize(
    ("values", "states"),
    [
        ([90, 99, 100], ["-", "-", "-"]),  # the threshold itself is not above it
        ([101, 101, 101], [PENDING, PENDING, FIRING]),
        ([101, 90, 101], [PENDING, RESOLVED, PENDING]),  # a spike tells nobody
        ([101, None, 101], [PENDING, PENDING, FIRING]),  # a gap neither stops nor fires
        ([101, None, None], [PENDING, PENDING, PENDING]),
        ([None, None], ["-", "-"]),
    ],
)
def test_it_fires_when_it_has_been_true_for_long_enough(values: list, states: list) -> None:
    assert walk(ABOVE, values) == states


@pytest.mark.parametrize(
    ("values", "states"),
    [
        ([90, 90, 90], [FIRING, FIRING, RESOLVED]),  # as long as it took to fire: 60 s
        ([90, 101, 90], [FIRING, FIRING, FIRING]),  # back over the line: the calm begins anew
        ([90, 101, 90, 90, 90], [FIRING, FIRING, FIRING, FIRING, RESOLVED]),
        ([None] * 20, [FIRING] * 20),  # silence never resolves
    ],
)
def test_it_ends_when_it_has_been_fine_for_long_enough(values: list, states: list) -> None:
    assert walk(ABOVE, [101, 101, 101, *values])[3:] == states


def test_a_rule_without_a_wait_fires_at_once_but_calms_for_a_moment() -> None:
    at_once = Condition(">", 100.0, 0)
    assert walk(at_once, [101, 90, 90], step=20) == [FIRING, FIRING, FIRING]
    assert walk(at_once, [101, 90, 90, 90], step=20)[-1] == RESOLVED


def test_below_is_the_mirror_of_above() -> None:
    assert walk(Condition("<", 1.0, 30), [2, 0.5, 0, 1, 1]) == ["-", PENDING, FIRING, FIRING, RESOLVED]


def test_an_acknowledged_alert_ends_like_a_firing_one_and_never_fires_again() -> None:
    standing = Standing(ACKNOWLEDGED, START)
    standing = judge(ABOVE, standing, 500, after(600))
    assert standing == Standing(ACKNOWLEDGED, START)
    standing = judge(ABOVE, standing, 10, after(630))
    assert standing == Standing(ACKNOWLEDGED, START, calm_since=after(630))
    assert judge(ABOVE, standing, 10, after(690)).state == RESOLVED


def test_the_calm_before_the_end_is_never_longer_than_five_minutes() -> None:
    assert Condition(">", 1, 3600).calm_seconds == 300
    assert Condition(">", 1, 0).calm_seconds == 30


def test_a_replay_tells_every_time_it_would_have_fired() -> None:
    values = [90, 101, 101, 101, 90, 90, 90, 101, 101, 101, 101]
    found = replay(ABOVE, [(after(30 * index), value) for index, value in enumerate(values)])
    assert [(one.since, one.fired, one.ended) for one in found] == [
        (after(30), after(90), after(180)),
        (after(210), after(270), None),
    ]
