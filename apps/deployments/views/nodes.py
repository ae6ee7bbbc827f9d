"""The page of one machine of a target: what it has, and what runs there."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.deployments import selectors
from apps.targets.models import DRAINING_KINDS
from apps.targets.selectors import get_node, get_target


@require_GET
def node(request: PageRequest, project: str, target: str, node: str) -> HttpResponse:
    """Reachable or not and why, resources, GPUs, the replicas there with their last lines, drain and undrain."""
    room = get_project(request.actor, project, "endpoint.view")
    row = get_target(target)
    machine = get_node(row, node)
    replicas, others = selectors.on_node(request.actor, row, node)
    context = {
        "project": room,
        "target": row,
        "node": machine,
        "lines": [line for line in row.check_lines if line["name"] == node or row.kind != "docker"],
        "can_drain": row.kind in DRAINING_KINDS,
        "is_draining": node in row.draining,
        "replicas": replicas,
        "others": others,
    }
    return render_page(request, "deployments/node.html", context, fragment="deployments/_node.html")
