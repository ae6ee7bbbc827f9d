"""Measurements as the API gives them: plain values, step by step."""

from collections.abc import Sequence
from typing import Any

from apps.monitoring.selectors import ran_in
from apps.monitoring.series import Point, Track, fitted, read_resources, read_tracks
from apps.monitoring.spans import Span
from apps.targets.models import Endpoint

_SILENCE = Point(
    requests=0, rps=0.0, counts={}, bytes_in=0, bytes_out=0, in_flight=0, percentiles=[None, None, None, None]
)


def report(endpoints: Sequence[Endpoint], span: Span) -> dict[str, Any]:
    """Every step of the span for each endpoint, and CPU and memory of its replicas."""
    span = fitted(span)
    tracks = read_tracks([endpoint.pk for endpoint in endpoints], span)
    deployments = dict(ran_in(endpoints, span).values_list("pk", "endpoint_id"))
    resources = read_resources(list(deployments), span)
    return {
        "start": span.start,
        "end": span.end,
        "step": span.step,
        "endpoints": [
            {
                "endpoint": endpoint.name,
                "steps": _steps(tracks.get(endpoint.pk), span),
                "replicas": [
                    {"replica": name, "deployment": one.deployment, "cpu": one.cpu, "memory_mb": one.memory}
                    for name, one in resources.items()
                    if deployments[one.deployment] == endpoint.pk
                ],
            }
            for endpoint in endpoints
        ],
    }


def _steps(track: Track | None, span: Span) -> list[dict[str, Any]]:
    points = track.points if track else [None] * len(span)
    return [_step(at, point or _SILENCE) for at, point in zip(span.starts, points, strict=True)]


def _step(at: Any, point: Point) -> dict[str, Any]:
    p50, p90, p99, p99_9 = point.percentiles
    return {
        "at": at,
        "requests": point.requests,
        "requests_per_second": round(point.rps, 4),
        "counts": point.counts,
        "error_share": 100 * point.counts.get("5xx", 0) / point.requests if point.requests else None,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "p99_9": p99_9,
        "bytes_in": point.bytes_in,
        "bytes_out": point.bytes_out,
        "in_flight_max": point.in_flight,
    }
