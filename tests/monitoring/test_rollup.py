"""Ten seconds become minutes become hours; twice is the same as once; what is old goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from apps.core import histograms
from apps.monitoring.models import Sample, Window
from apps.monitoring.rollup import forget, roll_up
from tests.cast import Cast
from tests.monitoring.traffic import serving, window

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fill(cast: Cast, windows: int, deployment=None) -> Window:
    deployment = deployment or serving(cast, live_at=START)
    Window.objects.bulk_create(
        window(deployment.endpoint, deployment, after(10 * index), latencies_ms=[4, 8], in_flight=index % 4)
        for index in range(windows)
    )
    return deployment


def minutes() -> list[Window]:
    return list(Window.objects.filter(seconds=60).order_by("start"))


def test_a_minute_is_the_sum_of_its_windows(cast: Cast) -> None:
    fill(cast, 9)
    assert roll_up(after(95)) == 1  # the second minute is not over yet
    (minute,) = minutes()
    assert (minute.start, minute.requests, minute.counts, minute.in_flight_max) == (START, 12, {"2xx": 12}, 3)
    assert minute.bytes_in == 12 * 300
    assert histograms.total_count(bytes(minute.histogram).decode()) == 12


def test_rolling_up_twice_changes_nothing(cast: Cast) -> None:
    fill(cast, 400)
    assert roll_up(after(4100)) == 67 + 13 + 4 + 1  # minutes, five minutes, quarters, an hour
    before = list(Window.objects.order_by("pk").values())
    assert roll_up(after(4100)) == 0
    assert list(Window.objects.order_by("pk").values()) == before


def test_a_late_window_makes_its_minute_and_all_above_anew(cast: Cast) -> None:
    deployment = fill(cast, 361)
    roll_up(after(3700))
    late = window(deployment.endpoint, deployment, after(3003.5), latencies_ms=[1] * 7, source="gateway-2")
    late.save()
    assert roll_up(after(3760)) == 4
    assert minutes()[50].requests == 12 + 7
    assert Window.objects.get(seconds=300, start=START + timedelta(minutes=50)).requests == 60 + 7
    assert Window.objects.get(seconds=3600).requests == 720 + 7


def test_a_month_ends_up_in_days(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    for hour in range(60):
        window(deployment.endpoint, deployment, START + timedelta(hours=hour), seconds=3600, counts={"2xx": 1}).save()
    roll_up(START + timedelta(hours=60))
    days = Window.objects.filter(seconds=86400).order_by("start")
    assert list(days.values_list("requests", flat=True)) == [12, 24]  # from noon; the third is not over yet


def test_calls_that_no_deployment_took_are_rolled_up_apart(cast: Cast) -> None:
    deployment = fill(cast, 6)
    window(deployment.endpoint, None, START, counts={"5xx": 3}).save()
    roll_up(after(100))
    assert {row.deployment_id: row.requests for row in minutes()} == {deployment.pk: 12, None: 3}


def test_nothing_to_do_costs_a_few_queries(cast: Cast, django_assert_max_num_queries: Callable) -> None:
    fill(cast, 60)
    roll_up(after(700))
    with django_assert_max_num_queries(24):
        roll_up(after(700))


@pytest.mark.parametrize(
    ("seconds", "days"), [(10, 2), (60, 14), (300, 31), (900, 62), (3600, 366), (14400, 366), (86400, 366)]
)
def test_each_resolution_is_kept_for_its_time(cast: Cast, seconds: int, days: int) -> None:
    deployment = serving(cast, live_at=START)
    for age in (days - 0.5, days + 0.5):
        window(deployment.endpoint, deployment, START - timedelta(days=age), seconds=seconds).save()
    assert forget(START) == 1
    assert Window.objects.get().start == START - timedelta(days=days - 0.5)


def test_samples_go_after_two_days(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    for age in (1, 3):
        Sample.objects.create(
            deployment=deployment, replica_name="r", at=START - timedelta(days=age), cpu=1, memory_bytes=1
        )
    assert forget(START) == 1
