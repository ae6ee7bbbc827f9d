"""Figures of the profile as Plotly dictionaries. Pure functions: numbers in, JSON out."""

from typing import Any

from django.utils.translation import gettext as _

BATCHES = (("p50", 1), ("batch_8", 8), ("batch_32", 32))


def latency_by_batch(profile: dict[str, Any]) -> dict[str, Any] | None:
    """Milliseconds of one call over rows in it, and of one row in such a call; None with fewer than two batches."""
    latency = profile.get("latency_ms") or {}
    points = [(rows, latency[key]) for key, rows in BATCHES if isinstance(latency.get(key), int | float)]
    if len(points) < 2:
        return None
    rows = [str(count) for count, _call in points]
    call = [milliseconds for _count, milliseconds in points]
    each = [milliseconds / count for count, milliseconds in points]
    return {
        "data": [
            _bars(_("whole call"), rows, call, "var(--sl-series-1)"),
            _bars(_("one row of it"), rows, each, "var(--sl-series-2)"),
        ],
        "layout": {
            "barmode": "group",
            "xaxis": {"title": {"text": _("rows in one call")}, "type": "category"},
            "yaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
        },
    }


def _bars(name: str, x: list[str], y: list[float], colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": y,
        "marker": {"color": colour},
        "hovertemplate": "%{y:.3~g} ms",
    }
