"""One deployment: its timeline, desired against observed, its logs; and what can be done about it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.selectors import get_project
from apps.core.errors import Invalid
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.deployments import selectors, services
from apps.deployments.forms import ScaleForm
from apps.deployments.views.shared import deployment_context
from apps.releases.selectors import get_release

DONE = {
    "stop": gettext_lazy("Stopping: its traffic is gone, and its replicas finish what they are doing."),
    "start": gettext_lazy("Starting."),
    "scale": gettext_lazy("Scaling."),
}


@require_GET
def deployment(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """One deployment, running or of the past: its timeline, desired against observed, replicas and logs."""
    room = get_project(request.actor, project, "endpoint.view")
    row = selectors.get_deployment(request.actor, room, pk)
    context = {"project": room, "endpoint": row.endpoint, **deployment_context(row)}
    return render_page(request, "deployments/deployment.html", context, fragment="deployments/_deployment.html")


@require_POST
def act(request: PageRequest, project: str, pk: int, verb: str) -> HttpResponse:
    """Stop, start or scale a deployment."""
    room = get_project(request.actor, project, "endpoint.view")
    row = selectors.get_deployment(request.actor, room, pk)
    if verb == "scale":
        form = ScaleForm(request.POST)
        if not form.is_valid():
            raise Invalid(_("Replicas must be between 1 and 64."), errors=form.errors)
        services.scale(actor=request.actor, deployment=row, replicas=form.cleaned_data["replicas"])
    else:
        {"stop": services.stop, "start": services.start}[verb](actor=request.actor, deployment=row)
    messages.success(request, DONE[verb])
    return redirect("deployments:endpoint", project=room.slug, endpoint=row.endpoint.name)


@require_POST
def start_release(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """Start an approved and built release whose environment leaves that to an operator."""
    room = get_project(request.actor, project, "release.view")
    release = get_release(request.actor, room, pk)
    services.start_release(actor=request.actor, release=release)
    return redirect("releases:release", project=room.slug, pk=pk)
