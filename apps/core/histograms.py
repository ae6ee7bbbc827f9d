"""Latency histograms: whole microseconds to two significant digits, from 1 µs to 120 s, mergeable in any order.

While a window is open it is a plain ``{quantised microseconds: count}``; closed, it is an HdrHistogram blob (V2,
zlib, base64) of about 0.4–2 kB. Quantising gives exactly the lower edge of HdrHistogram's own bucket, so nothing is
lost between the two: at most 0.8 % of any latency.
"""

from collections.abc import Iterable, Mapping

from hdrh.histogram import HdrHistogram

LOWEST = 1
HIGHEST = 120_000_000
DIGITS = 2

_EXACT_BITS = 8  # two digits need 200 steps, so HdrHistogram keeps the eight leading bits


def quantise(microseconds: int) -> int:
    """The lower edge of the bucket that a latency falls into, clamped to the range."""
    if microseconds < LOWEST:
        return LOWEST
    if microseconds > HIGHEST:
        microseconds = HIGHEST
    shift = microseconds.bit_length() - _EXACT_BITS
    return microseconds >> shift << shift if shift > 0 else microseconds


def encode(counts: Mapping[int, int]) -> str:
    """The blob of one window; keys are microseconds, quantised or not."""
    histogram = _empty()
    for microseconds, count in counts.items():
        histogram.record_value(quantise(microseconds), count)
    return _encoded(histogram)


def decode(blob: str) -> HdrHistogram:
    """The histogram in a blob; ValueError if it is damaged."""
    try:
        return HdrHistogram.decode(blob)
    except Exception as error:  # the codec raises whatever zlib, base64 or its own header check meet
        raise ValueError("this is not a latency histogram") from error


def merge(blobs: Iterable[str]) -> str:
    """One blob with the counts of all; that of an empty histogram if there are none."""
    total = _empty()
    for blob in blobs:
        total.add(decode(blob))
    return _encoded(total)


def total_count(blob: str) -> int:
    """How many latencies a blob holds."""
    return int(decode(blob).get_total_count())


def percentiles(blob: str, wanted: Iterable[float] = (50, 90, 99, 99.9)) -> dict[float, int]:
    """Microseconds by percentile, each the upper edge of its bucket; all 0 for an empty blob."""
    histogram = decode(blob)
    return {percentile: int(histogram.get_value_at_percentile(percentile)) for percentile in wanted}


def _empty() -> HdrHistogram:
    return HdrHistogram(LOWEST, HIGHEST, DIGITS)


def _encoded(histogram: HdrHistogram) -> str:
    return str(histogram.encode(), "ascii")
