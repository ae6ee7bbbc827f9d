"""What a point of a chart leads to: the figures, the changes and the log lines of that minute."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.selectors import get_project
from apps.core.web import PageRequest
from apps.monitoring.moments import AROUND, read_moment, stretch_of
from apps.monitoring.spans import between
from apps.targets.selectors import get_endpoint

DAY = 86400


@require_safe
def moment(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """What happened at this endpoint between ``?from=`` and ``?to=``?"""
    room = get_project(request.actor, project, "monitoring.view")
    chosen, now = get_endpoint(request.actor, room, endpoint), timezone.now()
    span = stretch_of(request.GET, now)
    seconds = int((span.end - span.start).total_seconds())
    context = {
        "project": room,
        "endpoint": chosen,
        "span": span,
        "end_form": "minute" if seconds < DAY else "day",
        "before": span.earlier(seconds),
        "after": span.earlier(-seconds) if span.end < now else None,
        "around": between(span.start - AROUND, span.end + AROUND),
        "moment": read_moment(request.actor, chosen, span),
    }
    return render(request, "monitoring/moment.html", context)
