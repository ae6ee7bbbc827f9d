"""Charts: all endpoints side by side, one endpoint in full, and the figures alone for a refresh."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.monitoring import dashboards
from apps.monitoring.spans import PRESETS, Span, from_query
from apps.targets.models import Endpoint
from apps.targets.selectors import endpoints as read_endpoints
from apps.targets.selectors import get_endpoint

FASTEST_SECONDS, SLOWEST_SECONDS = 5, 60


@require_safe
def monitoring(request: PageRequest, project: str) -> HttpResponse:
    """What changed, when, and where? Small charts of everything, or the big ones of ``?endpoint=``."""
    room = get_project(request.actor, project, "monitoring.view")
    everything = list(read_endpoints(request.actor, room))
    name = request.GET.get("endpoint", "")
    chosen = get_endpoint(request.actor, room, name) if name else None
    context = _frame(request, room) | {"endpoints": everything, "endpoint": chosen}
    context |= _charts(context, chosen) if chosen else _rows(context, everything)
    return render_page(request, "monitoring/monitoring.html", context, fragment=_fragment(request, chosen))


@require_safe
def endpoint_charts(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """An endpoint's charts as a fragment, for its own page; ``?part=data`` answers the figures alone."""
    room = get_project(request.actor, project, "monitoring.view")
    chosen = get_endpoint(request.actor, room, endpoint)
    context = _frame(request, room) | {"endpoint": chosen}
    context |= _charts(context, chosen)
    is_refresh = request.GET.get("part") == "data"
    return render(request, f"monitoring/{'_chart_data' if is_refresh else '_charts'}.html", context)


def _frame(request: PageRequest, project: Project) -> dict[str, Any]:
    span, wish = from_query(request.GET, timezone.now()), dashboards.wish_of(request.GET)
    return {
        "project": project,
        "span": span,
        "wish": wish,
        "presets": PRESETS,
        "groups": dashboards.GROUPS,
        "pasts": dashboards.PASTS,
        "query": "&".join(filter(None, [span.query, wish.query])),
        "refresh_seconds": _refresh_seconds(span),
    }


def _charts(context: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    address = reverse("monitoring:endpoint_charts", args=[context["project"].slug, endpoint.name])
    panels = dashboards.endpoint_panels(endpoint, context["span"], context["wish"])
    return {"panels": panels, "charts_url": address}


def _rows(context: dict[str, Any], endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    return {"rows": dashboards.multiples(endpoints, context["span"], context["wish"])}


def _fragment(request: PageRequest, chosen: Endpoint | None) -> str:
    if request.GET.get("part") == "data":
        return "monitoring/_chart_data.html" if chosen else "monitoring/_multiples.html"
    return "monitoring/_monitoring.html"


def _refresh_seconds(span: Span) -> int:
    """How often a live chart asks again: as often as it may have another point, within reason."""
    return min(max(span.step // 2, FASTEST_SECONDS), SLOWEST_SECONDS) if span.is_live else 0
