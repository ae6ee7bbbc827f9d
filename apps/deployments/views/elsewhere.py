"""Fragments of other apps' pages: the review sheet's change and progress, and where a version runs."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.deployments import obstacles, selectors
from apps.deployments.timeline import is_moving, timeline, total_seconds
from apps.library.comparison import diff
from apps.library.selectors import get_model, get_version
from apps.releases.attachments import tell
from apps.releases.difference import differences
from apps.releases.selectors import get_release, last_build, releases

MOST_RELEASES = 6


@require_GET
def release_change(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """What a release changes against what its endpoint runs, or ran before it (for the review sheet)."""
    room = get_project(request.actor, project, "release.view")
    release = get_release(request.actor, room, pk)
    before = selectors.before(release)
    old = before.release.version if before else None
    context = {
        "project": room,
        "release": release,
        "before": before,
        "old": old,
        "rows": differences(release.version, old),
        "card_lines": list(diff(old.card, release.version.card)) if old else [],
        "is_past": release.deployments.exists(),
    }
    return render_page(request, "deployments/_change.html", context)


@require_GET
def release_progress(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """Build and start of a release, live (for the review sheet after the decision)."""
    room = get_project(request.actor, project, "release.view")
    release = get_release(request.actor, room, pk)
    build, row = last_build(release), release.deployments.order_by("-pk").first()
    lines = timeline(build, row)
    context = {
        "project": room,
        "release": release,
        "build": build,
        "deployment": row,
        "start_obstacle": None if row else obstacles.to_starting(release),
        "lines": lines,
        "total": total_seconds(lines),
        "moving": is_moving(build, row),
        "told": tell(build),
    }
    return render_page(request, "deployments/_progress.html", context)


@require_GET
def running_for_version(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Where a version runs now (for its page)."""
    room = get_project(request.actor, project, "endpoint.view")
    get_version(request.actor, room, model, number)
    rows = selectors.running_for(room, model, number)
    return render_page(request, "deployments/_running.html", {"project": room, "rows": rows})


@require_GET
def lineage(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """What became of a version: its releases, and the endpoints where they ran or run (for its page)."""
    room = get_project(request.actor, project, "release.view")
    version = get_version(request.actor, room, model, number)
    rows = releases(request.actor, room).filter(version=version)
    context = {
        "project": room,
        "releases": rows[:MOST_RELEASES],
        "more": max(0, rows.count() - MOST_RELEASES),
        "endpoints": selectors.served_by(request.actor, version),
    }
    return render_page(request, "deployments/_lineage.html", context)


@require_GET
def running_for_model(request: PageRequest, project: str, model: str) -> HttpResponse:
    """Where any version of a model runs now (for its page)."""
    room = get_project(request.actor, project, "endpoint.view")
    get_model(request.actor, room, model)
    rows = selectors.running_for(room, model)
    return render_page(request, "deployments/_running.html", {"project": room, "rows": rows})


@require_GET
def running_now(request: PageRequest, project: str) -> HttpResponse:
    """Where the models that the address names run now, each for its own cell of the model list."""
    room = get_project(request.actor, project, "endpoint.view")
    running = selectors.running_by_model(room, request.GET.getlist("model")[:200])
    return render_page(request, "deployments/_running_now.html", {"project": room, "running": running})
