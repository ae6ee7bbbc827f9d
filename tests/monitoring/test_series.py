"""Windows added up: percentiles, gaps, resolutions, what belongs to whom."""

import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apps.core import histograms
from apps.monitoring import rollup
from apps.monitoring.latencies import Latencies
from apps.monitoring.models import Sample, Window
from apps.monitoring.series import by_deployment, fitted, read_resources, read_tracks
from apps.monitoring.spans import Span, between, finest_step, from_query, last
from tests.cast import Cast
from tests.monitoring.traffic import serving, window

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def lognormal(number: int, median: float, seed: int) -> list[float]:
    dice = random.Random(seed)
    return [median * math.exp(dice.gauss(0, 0.8)) for _ in range(number)]


def test_percentiles_of_merged_windows_are_those_of_all_calls(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    calls = [lognormal(400, median, seed) for seed, median in enumerate((2, 9, 40, 9, 15, 3))]
    Window.objects.bulk_create(
        window(deployment.endpoint, deployment, after(10 * index), latencies_ms=some)
        for index, some in enumerate(calls)
    )
    track = read_tracks([deployment.endpoint_id], between(START, after(60), step=60))[deployment.endpoint_id]
    everything = np.array([latency for each in calls for latency in each])
    for percentile, found in zip((50, 90, 99, 99.9), track.points[0].percentiles, strict=True):
        exact = np.percentile(everything, percentile, method="inverted_cdf")
        assert found == pytest.approx(exact, rel=0.01)


def test_the_fast_reading_agrees_with_the_librarys() -> None:
    blob = histograms.encode({histograms.quantise(round(ms * 1000)): 1 for ms in lognormal(500, 7, 3)})
    mine = Latencies.of(blob)
    wanted = (1, 50, 90, 99, 99.9, 100)
    assert [round(ms * 1000) for ms in mine.percentiles(wanted)] == list(histograms.percentiles(blob, wanted).values())
    assert mine.total == histograms.total_count(blob)


def test_a_damaged_histogram_is_no_histogram() -> None:
    with pytest.raises(ValueError, match="not a latency histogram"):
        Latencies.of("HISTFAAAAnonsense")


def test_silence_is_zero_requests_and_no_latency(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    window(deployment.endpoint, deployment, after(20), latencies_ms=[5, 5], counts={"2xx": 2, "5xx": 2}).save()
    track = read_tracks([deployment.endpoint_id], between(START, after(40), step=10))[deployment.endpoint_id]
    assert track.rps() == [0, 0, 0.4, 0]
    assert track.share("5xx") == [None, None, 50, None]
    assert track.percentile(50)[0] is track.percentile(50)[3] is None
    assert track.percentile(50)[2] == pytest.approx(5, rel=0.01)


def test_in_flight_adds_up_side_by_side_but_not_in_a_row(cast: Cast) -> None:
    first, second = serving(cast, live_at=START), serving(cast, live_at=START)
    endpoint = first.endpoint
    window(endpoint, first, START, in_flight=3).save()
    window(endpoint, first, after(10), in_flight=5).save()
    window(endpoint, second, START, in_flight=4).save()
    window(endpoint, second, START, in_flight=1, source="gateway-2").save()
    tracks = read_tracks([endpoint.pk], between(START, after(60), step=60))
    assert tracks[endpoint.pk].in_flight() == [5 + 4 + 1]
    split = read_tracks([endpoint.pk], between(START, after(60), step=60), by_deployment)
    assert split[endpoint.pk, first.pk].in_flight() == [5]


def test_the_last_step_of_a_live_span_is_as_long_as_it_has_been(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    window(deployment.endpoint, deployment, after(60), latencies_ms=[1] * 20).save()
    track = read_tracks([deployment.endpoint_id], between(START, after(70), step=60))[deployment.endpoint_id]
    assert track.rps() == [0, 2]


def test_a_long_span_reads_hours_then_minutes_then_fine_windows_and_counts_nothing_twice(cast: Cast) -> None:
    deployment = serving(cast, live_at=START)
    now = after(2 * 3600 + 125)
    Window.objects.bulk_create(
        window(deployment.endpoint, deployment, after(10 * index), latencies_ms=[5]) for index in range(720 + 12)
    )
    rollup.roll_up(now)
    assert sorted(set(Window.objects.values_list("seconds", flat=True))) == [10, 60, 300, 900, 3600]
    span = between(START, now, step=3600)
    track = read_tracks([deployment.endpoint_id], span)[deployment.endpoint_id]
    assert [point.requests for point in track.points] == [360, 360, 12]
    assert track.whole.requests == 732


def test_resources_are_averaged_over_each_step(cast: Cast) -> None:
    deployment = serving(cast, live_at=START, replicas=1)
    for seconds, cpu, memory in ((1, 0.2, 100e6), (9, 0.4, 200e6), (31, 1.5, 300e6)):
        Sample.objects.create(
            replica_name="r-0", deployment=deployment, at=after(seconds), cpu=cpu, memory_bytes=memory
        )
    found = read_resources([deployment.pk], between(START, after(60), step=30))
    assert found["r-0"].cpu == pytest.approx([30, 150])
    assert found["r-0"].memory == [200, 300]


def test_an_old_span_is_read_in_the_steps_that_are_still_kept() -> None:
    day = timedelta(days=1)
    fine = between(START, after(3600), step=10)
    assert fitted(fine, START + day).step == 10
    assert fitted(fine, START + 5 * day).step == 60
    assert fitted(fine, START + 90 * day).step == 3600


def test_a_page_never_draws_more_than_a_thousand_steps() -> None:
    for seconds in (600, 3600, 86400, 7 * 86400, 30 * 86400, 366 * 86400):
        assert seconds / finest_step(seconds, 1000) <= 1000
    assert [len(from_query({"range": name}, START)) <= 400 for name in ("15m", "1h", "6h", "24h", "7d", "30d")] == [
        True
    ] * 6


def test_a_span_lies_on_whole_steps_and_ends_where_everything_is_in() -> None:
    span = last(3600, after(5))
    assert (span.end, span.start) == (after(-10), after(-3610))
    assert Span(START, after(25), 10).index(after(24)) == 2
    assert Span(START, after(25), 10).index(after(31)) is None
