"""What happened in one stretch of time: windows added up. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from apps.monitoring.latencies import Latencies

SERVER_ERRORS = "5xx"


@dataclass
class Totals:
    """The sum of windows. ``in_flight`` keeps each measurer's highest apart: those side by side add up, those in a
    row do not.
    """

    requests: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    in_flight: dict[Hashable, int] = field(default_factory=dict)
    latencies: Latencies | None = None

    @property
    def in_flight_max(self) -> int:
        """The most calls in flight at once; an upper bound where several measurers peaked at different moments."""
        return sum(self.in_flight.values())

    @property
    def error_share(self) -> float | None:
        """Percent of requests that we failed to answer (5xx); None without requests. Callers' mistakes don't count."""
        return self.share(SERVER_ERRORS)

    def share(self, outcome: str) -> float | None:
        """Percent of requests with this outcome (2xx, 4xx, 429, 5xx, gone); None without requests."""
        return 100 * self.counts.get(outcome, 0) / self.requests if self.requests else None

    def percentiles(self, *wanted: float) -> list[float | None]:
        """Milliseconds at each percentile; None where no call has a latency."""
        return self.latencies.percentiles(wanted) if self.latencies else [None] * len(wanted)

    def add_counts(self, counts: Mapping[str, int], errors: Mapping[str, int]) -> None:
        self.requests += sum(counts.values())
        for mine, theirs in ((self.counts, counts), (self.errors, errors)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count

    def merge_latencies(self, latencies: Latencies) -> None:
        if self.latencies is None:
            self.latencies = latencies.copy()
        else:
            self.latencies.merge(latencies)

    def note_in_flight(self, measurer: Hashable, highest: int) -> None:
        self.in_flight[measurer] = max(self.in_flight.get(measurer, 0), highest)

    def merge(self, other: "Totals") -> None:
        """Add another stretch, of the same or another time."""
        self.add_counts(other.counts, other.errors)
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        for measurer, highest in other.in_flight.items():
            self.note_in_flight(measurer, highest)
        if other.latencies is not None:
            self.merge_latencies(other.latencies)


def merged(parts: Iterable[Totals]) -> Totals:
    """One total of all parts; empty when there are none."""
    total = Totals()
    for part in parts:
        total.merge(part)
    return total
