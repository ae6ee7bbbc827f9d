"""The gateway's figures in Prometheus' text format."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from apps.gateway.metering import Meter, Tally
from apps.gateway.refreshing import Refresher

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LABELS = ("project", "endpoint", "deployment")


class GatewayCollector(Collector):
    """Reads meters and counters at the moment of the scrape; nothing of this costs a call anything."""

    def __init__(self, meters: Iterable[Meter], events: Mapping[str, int], refresher: Refresher) -> None:
        self._meters = meters
        self._events = events
        self._refresher = refresher

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_calls()
        yield from self._collect_events()
        age = GaugeMetricFamily("slipway_gateway_snapshot_age_seconds", "Since the routes and keys were last fresh.")
        age.add_metric([], self._refresher.age)
        failures = GaugeMetricFamily("slipway_gateway_snapshot_failures", "Failures to load them, in a row.")
        failures.add_metric([], self._refresher.failures)
        yield from (age, failures)

    def _collect_calls(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("slipway_gateway_requests", "Calls, by status class.", labels=(*_LABELS, "class"))
        errors = CounterMetricFamily("slipway_gateway_errors", "What went wrong, by kind.", labels=(*_LABELS, "kind"))
        flying = GaugeMetricFamily("slipway_gateway_in_flight", "Calls in flight.", labels=_LABELS)
        durations = HistogramMetricFamily(
            "slipway_gateway_request_duration_seconds", "From the first byte in to the last byte out.", labels=_LABELS
        )
        for meter in self._meters:
            labels = [meter.project, meter.endpoint, meter.deployment]
            tally = Tally()
            tally.add(meter.total)
            tally.add(meter.open)
            for outcome, count in tally.counts.items():
                calls.add_metric([*labels, outcome], count)
            for kind, count in tally.errors.items():
                errors.add_metric([*labels, kind], count)
            flying.add_metric(labels, meter.in_flight)
            durations.add_metric(labels, *_buckets(tally.latencies))
        yield from (calls, errors, flying, durations)

    def _collect_events(self) -> Iterator[Metric]:
        events = CounterMetricFamily(
            "slipway_gateway_events",
            "Retries, calls that a retry saved (masked), ejections, and refusals before an endpoint was known.",
            labels=("event",),
        )
        for name, count in sorted(self._events.items()):
            events.add_metric([name], count)
        yield events


def expose(meters: Iterable[Meter], events: Counter[str], refresher: Refresher) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(meters, events, refresher))
    return generate_latest(registry)


def _buckets(latencies: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts by upper edge in seconds, and the sum of all."""
    counts = [0] * (len(_BUCKETS) + 1)
    total = 0.0
    for micros, count in latencies.items():
        seconds = micros / 1e6
        total += seconds * count
        counts[sum(edge < seconds for edge in _BUCKETS)] += count
    running, buckets = 0, []
    for edge, count in zip((*(str(edge) for edge in _BUCKETS), "+Inf"), counts, strict=True):
        running += count
        buckets.append((edge, float(running)))
    return buckets, total
