"""What the web process counts about itself, for Prometheus: base units, bounded labels, histograms and no summaries.

Routes are named by their view, never by their address, so that there are as many series as there are views.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

#: OpenTelemetry's advised bounds for ``http.server.request.duration``.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

REQUESTS = Counter(
    "slipway_web_requests_total",
    "Requests that the web process answered.",
    ("route", "method", "status"),
    registry=REGISTRY,
)
SECONDS = Histogram(
    "slipway_web_request_duration_seconds",
    "How long answers took, in seconds.",
    ("route",),
    buckets=BOUNDS,
    registry=REGISTRY,
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MetricsMiddleware:
    """Counts and times every answer. Belongs near the outside, so that what others refuse is counted too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        route = request.resolver_match.view_name if request.resolver_match else "none"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(route, method, f"{response.status_code // 100}xx").inc()
        SECONDS.labels(route).observe(time.perf_counter() - started)
        return response
