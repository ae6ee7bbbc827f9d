"""The project's front page, and the numbers that its rail carries."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.monitoring import selectors
from apps.monitoring.overview import cards
from apps.monitoring.overview import overview as read_overview


@require_safe
def overview(request: PageRequest, project: str) -> HttpResponse:
    """Is all well, and what waits for me?"""
    room = get_project(request.actor, project)
    context = {"project": room, "overview": read_overview(request.actor, room)}
    return render_page(request, "monitoring/overview.html", context, fragment="monitoring/_overview.html")


@require_safe
def badges(request: PageRequest, project: str) -> HttpResponse:
    """The rail's numbers, each swapped into its place."""
    room = get_project(request.actor, project)
    return render(request, "monitoring/_badges.html", {"badges": selectors.badges(request.actor, room)})


@require_safe
def endpoint_figures(request: PageRequest, project: str) -> HttpResponse:
    """Traffic, p99 and errors of every endpoint, each swapped into its cell of the endpoint list."""
    room = get_project(request.actor, project)
    return render(request, "monitoring/_endpoint_figures.html", {"cards": cards(room, [], timezone.now())})
