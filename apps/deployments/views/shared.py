"""What several of these pages need: finding the endpoint, and the context of a deployment."""

from typing import Any

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.web import PageRequest
from apps.deployments import obstacles, selectors
from apps.deployments.forms import ScaleForm
from apps.deployments.timeline import is_moving, timeline, total_seconds
from apps.targets.models import Endpoint
from apps.targets.selectors import get_endpoint


def find_endpoint(request: PageRequest, project: str, name: str) -> tuple[Project, Endpoint]:
    room = get_project(request.actor, project, "endpoint.view")
    return room, get_endpoint(request.actor, room, name)


def deployment_context(row: Any) -> dict[str, Any]:
    lines = timeline(row.build, row)
    return {
        "deployment": row,
        "replicas": selectors.replicas(row),
        "takes_all": selectors.takes_all(row),
        "start_obstacle": None if row.is_wanted else obstacles.to_starting(row.release),
        "earlier": selectors.last_good(row.endpoint),
        "lines": lines,
        "total": total_seconds(lines),
        "moving": is_moving(None, row),
        "scale_form": ScaleForm(initial={"replicas": row.replicas}),
    }
