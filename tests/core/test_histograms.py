"""Latency histograms lose nothing between the gateway's counts and the stored blob, and merge in any order."""

import random

import pytest
from hdrh.histogram import HdrHistogram

from apps.core import histograms

CORNERS = [0, 1, 2, 127, 128, 255, 256, 257, 511, 512, 1_000, 65_535, 65_536, 1_000_000, 119_999_999, 120_000_000]


@pytest.mark.parametrize("microseconds", CORNERS)
def test_quantising_gives_the_lower_edge_of_the_same_bucket(microseconds: int) -> None:
    reference = HdrHistogram(histograms.LOWEST, histograms.HIGHEST, histograms.DIGITS)

    expected = reference.get_lowest_equivalent_value(max(1, microseconds))
    assert histograms.quantise(microseconds) == expected


def test_quantising_is_within_one_percent() -> None:
    chance = random.Random(7)

    for _ in range(10_000):
        value = chance.randint(1, histograms.HIGHEST)
        assert 0 <= value - histograms.quantise(value) <= value * 0.01


def test_values_beyond_the_range_are_clamped() -> None:
    assert histograms.quantise(-5) == 1
    assert histograms.quantise(10**12) == histograms.quantise(histograms.HIGHEST)
    assert histograms.total_count(histograms.encode({0: 1, 10**12: 1})) == 2


def test_a_blob_equals_recording_every_value() -> None:
    chance = random.Random(1)
    values = [int(chance.lognormvariate(8, 1)) for _ in range(5_000)]
    counts: dict[int, int] = {}
    reference = HdrHistogram(1, 120_000_000, 2)
    for value in values:
        quantised = histograms.quantise(value)
        counts[quantised] = counts.get(quantised, 0) + 1
        reference.record_value(value)

    blob = histograms.encode(counts)
    assert HdrHistogram.decode(blob).get_total_count() == 5_000
    for percentile, micros in histograms.percentiles(blob).items():
        assert micros == reference.get_value_at_percentile(percentile)


def test_merging_is_the_same_in_any_order() -> None:
    blobs = [histograms.encode({100: 5, 9_000: 1}), histograms.encode({200: 7}), histograms.encode({})]

    one, other = histograms.merge(blobs), histograms.merge(reversed(blobs))
    assert histograms.percentiles(one) == histograms.percentiles(other)
    assert histograms.total_count(one) == 13


def test_an_empty_histogram_has_zero_percentiles() -> None:
    assert histograms.percentiles(histograms.merge([])) == {50: 0, 90: 0, 99: 0, 99.9: 0}


@pytest.mark.parametrize("blob", ["", "nonsense", "AAAA", "HISTFAAAABx4nJNpm"])
def test_a_damaged_blob_is_refused(blob: str) -> None:
    with pytest.raises(ValueError, match="not a latency histogram"):
        histograms.decode(blob)
