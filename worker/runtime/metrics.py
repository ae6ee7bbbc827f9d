"""What was measured since the start: plain lists and integers, turned into text only when somebody asks.

Names follow Prometheus' practice: seconds, bytes, ``_total``, histograms. The request histogram is OpenTelemetry's
``http.server.request.duration`` with its advised bounds; queue and compute times begin far below them, because small
models answer in microseconds. Only the event loop's thread writes here.
"""

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
MODEL_BOUNDS = (0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Histogram:
    """Counts by upper bound, and the sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        return sum(self.counts)


class Metrics:
    """The counters of one replica. Times are seconds."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status // 100
        self.duration = Histogram(REQUEST_BOUNDS)  # inference requests, from the first byte to the answer
        self.queue = Histogram(MODEL_BOUNDS)  # each request, from read to run
        self.compute = Histogram(MODEL_BOUNDS)  # each run of the model
        self.batch = Histogram(BATCH_BOUNDS)  # rows of each run
        self.in_flight = 0
        self.succeeded = 0
        self.failed = 0
        self.succeeded_seconds = 0.0
        self.failed_seconds = 0.0
        self.last_inference = 0.0  # of time.perf_counter, which costs less than the wall clock's conversion
        self.ready = False

    def render(self, labels: Mapping[str, str]) -> bytes:
        """Everything as Prometheus text, each sample with ``labels``."""
        return ("\n".join(self._lines(_format_labels(labels))) + "\n").encode()

    def _lines(self, labels: str) -> Iterator[str]:
        yield from _family("slipway_requests_total", "counter", "Answers by route and status class.")
        for (route, group), count in sorted(self.requests.items()):
            yield f'slipway_requests_total{{{labels}route="{route}",status="{group}xx"}} {count}'
        for name, text, histogram in (
            ("http_server_request_duration_seconds", "Inference requests, first byte to answer.", self.duration),
            ("slipway_queue_seconds", "Waiting of each inference request for the model.", self.queue),
            ("slipway_compute_seconds", "Each run of the model.", self.compute),
            ("slipway_batch_rows", "Rows in each run of the model.", self.batch),
        ):
            yield from _family(name, "histogram", text)
            yield from _histogram_lines(name, labels, histogram)
        for name, kind, text, value in (
            ("slipway_requests_in_flight", "gauge", "Inference requests being answered.", self.in_flight),
            ("slipway_ready", "gauge", "Whether the replica takes inference requests.", int(self.ready)),
            ("process_cpu_seconds_total", "counter", "User and system time of this process.", time.process_time()),
            ("process_resident_memory_bytes", "gauge", "Resident memory of this process.", read_resident_bytes()),
        ):
            yield from _family(name, kind, text)
            yield f"{name}{{{labels.rstrip(',')}}} {value}"


def read_resident_bytes() -> int:
    """Resident memory of this process, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_SIZE
    except (OSError, IndexError, ValueError):
        return 0


def _family(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _histogram_lines(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    total = 0
    for bound, count in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        total += count
        yield f'{name}_bucket{{{labels}le="{bound}"}} {total}'
    own = labels.rstrip(",")
    yield f"{name}_sum{{{own}}} {histogram.sum:.9g}"
    yield f"{name}_count{{{own}}} {total}"


def _format_labels(labels: Mapping[str, str]) -> str:
    escaped = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return "".join(f'{name}="{value.translate(escaped)}",' for name, value in labels.items())
