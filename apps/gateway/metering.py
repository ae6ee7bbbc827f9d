"""What every deployment did, in windows of ten seconds that are kept until somebody has collected them.

While a window is open, one call costs a few additions to plain dictionaries. Closed windows carry a number that only
grows, over restarts too, so that collecting one twice changes nothing.
"""

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from apps.core import histograms

logger = logging.getLogger(__name__)

GONE = "gone"
OUTCOMES = ("2xx", "3xx", "4xx", "429", "5xx", GONE)
_OUTCOME_OF = tuple("429" if status == 429 else f"{status // 100}xx" for status in range(600))

_MOST_PER_ANSWER = 500


class Tally:
    """The counts of one stretch of time. ``latencies`` are microseconds, quantised."""

    __slots__ = ("bytes_in", "bytes_out", "counts", "errors", "in_flight_max", "latencies")

    def __init__(self, in_flight: int = 0) -> None:
        self.counts: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.latencies: dict[int, int] = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.in_flight_max = in_flight

    @property
    def is_empty(self) -> bool:
        return not (self.counts or self.errors or self.in_flight_max)

    def add(self, other: "Tally") -> None:
        _add_counts(self.counts, other.counts)
        _add_counts(self.errors, other.errors)
        _add_counts(self.latencies, other.latencies)
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.in_flight_max = max(self.in_flight_max, other.in_flight_max)


class Meter:
    """The books of one deployment at one endpoint; deployment "" is for what no deployment could take."""

    __slots__ = ("deployment", "endpoint", "in_flight", "open", "project", "total")

    def __init__(self, project: str, endpoint: str, deployment: str) -> None:
        self.project = project
        self.endpoint = endpoint
        self.deployment = deployment
        self.in_flight = 0
        self.open = Tally()
        self.total = Tally()  # of all closed windows since the start

    def begin(self) -> None:
        self.in_flight += 1
        if self.in_flight > self.open.in_flight_max:
            self.open.in_flight_max = self.in_flight

    def end(self) -> None:
        self.in_flight -= 1

    def count(self, status: int, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """Book one answered call."""
        tally = self.open
        outcome = _OUTCOME_OF[status]
        tally.counts[outcome] = tally.counts.get(outcome, 0) + 1
        micros = histograms.quantise(int(seconds * 1e6))
        tally.latencies[micros] = tally.latencies.get(micros, 0) + 1
        tally.bytes_in += bytes_in
        tally.bytes_out += bytes_out

    def count_refused(self, status: int) -> None:
        """Book a call that the gateway turned away by itself: it has no latency of the model's."""
        outcome = _OUTCOME_OF[status]
        self.open.counts[outcome] = self.open.counts.get(outcome, 0) + 1

    def count_gone(self) -> None:
        self.open.counts[GONE] = self.open.counts.get(GONE, 0) + 1

    def note_error(self, kind: str) -> None:
        """Book one thing that went wrong, also where another replica then masked it."""
        self.open.errors[kind] = self.open.errors.get(kind, 0) + 1

    def close_window(self) -> Tally:
        """Start the next window; what is in flight goes over into it."""
        closed, self.open = self.open, Tally(self.in_flight)
        self.total.add(closed)
        return closed


class ClosedWindow(NamedTuple):
    """``start`` is in seconds since the epoch."""

    sequence: int
    start: float
    seconds: int
    meter: Meter
    tally: Tally


class Books:
    """All meters, and the closed windows that nobody has collected yet."""

    def __init__(self, name: str, seconds: int, keep_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.seconds = seconds
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._meters: dict[tuple[str, str, str], Meter] = {}
        self._opened_at = clock()
        self._sequence = int(self._opened_at * 1000)  # more than any earlier process of this name has used
        self._closed: deque[dict[str, Any]] = deque()

    def meter(self, project: str, endpoint: str, deployment: str) -> Meter:
        """The one meter of this name; made when missing."""
        key = (project, endpoint, deployment)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(*key)
        return meter

    @property
    def meters(self) -> Iterable[Meter]:
        return tuple(self._meters.values())

    def forget_meters(self, live: set[tuple[str, str, str]]) -> None:
        """Drop the meters of deployments that are gone, once they have nothing left to tell."""
        for key, meter in list(self._meters.items()):
            if key not in live and not meter.in_flight and meter.open.is_empty:
                del self._meters[key]

    def seconds_left(self) -> float:
        """How long the present window stays open: windows end on whole multiples of their length."""
        return self.seconds - self._clock() % self.seconds

    def close_windows(self) -> list[ClosedWindow]:
        """Take what is open out of the meters and number it."""
        start, self._opened_at = self._opened_at, self._clock()
        closed = []
        for meter in self.meters:
            tally = meter.close_window()
            if not tally.is_empty:
                self._sequence += 1
                closed.append(ClosedWindow(self._sequence, round(start, 3), self.seconds, meter, tally))
        return closed

    def keep(self, windows: Iterable[dict[str, Any]]) -> None:
        """Hold encoded windows ready for collection, dropping those that are too old to be of use."""
        self._closed.extend(windows)
        oldest = self._clock() - self._keep_seconds
        while self._closed and self._closed[0]["start"] < oldest:
            self._closed.popleft()

    def collect(self, after: int) -> dict[str, Any]:
        """The windows numbered above ``after``; those up to it are taken as safely stored, and dropped."""
        while self._closed and self._closed[0]["seq"] <= after:
            self._closed.popleft()
        windows = [window for window, _ in zip(self._closed, range(_MOST_PER_ANSWER), strict=False)]
        return {"gateway": self.name, "windows": windows, "more": len(windows) < len(self._closed)}

    def save(self, path: Path) -> None:
        """Leave what nobody has collected for the next process of this name."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(orjson.dumps(list(self._closed)))
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Take over what the last process left."""
        with contextlib.suppress(FileNotFoundError):
            try:
                self._closed.extendleft(reversed(orjson.loads(path.read_bytes())))
            except ValueError:
                logger.warning("the windows left in %s are damaged and were dropped", path)
            path.unlink()


def encode_window(window: ClosedWindow) -> dict[str, Any]:
    """The form in which a window is collected and kept; some milliseconds of work, so not for the event loop."""
    meter, tally = window.meter, window.tally
    return {
        "seq": window.sequence,
        "start": window.start,
        "seconds": window.seconds,
        "project": meter.project,
        "endpoint": meter.endpoint,
        "deployment": meter.deployment,
        "counts": tally.counts,
        "errors": tally.errors,
        "bytes_in": tally.bytes_in,
        "bytes_out": tally.bytes_out,
        "in_flight_max": tally.in_flight_max,
        "histogram": histograms.encode(tally.latencies),
    }


def _add_counts(mine: dict[Any, int], theirs: dict[Any, int]) -> None:
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count
