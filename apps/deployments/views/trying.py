"""Sending one request from the endpoint page, and showing its answer."""

from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.deployments import selectors
from apps.deployments.trying import request_from, request_of, try_endpoint
from apps.deployments.trying import run_golden as run_sample
from apps.deployments.views.shared import find_endpoint
from apps.library.selectors import get_version


@require_POST
def try_it(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """Send what the form holds to a healthy replica and show its answer."""
    room, row = find_endpoint(request, project, endpoint)
    deployment = selectors.live(row)
    signature = (deployment.release.version.signature if deployment else None) or {}
    answer = try_endpoint(actor=request.actor, endpoint=row, request=_posted_request(request, signature))
    labels = deployment.release.version.class_labels if deployment else []
    context = {"project": room, "endpoint": row, "answer": answer, "likely": likely(answer.body, labels)}
    return render_page(request, "deployments/_answer.html", context)


def run_golden(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Where a version runs, with the button that sends its golden sample there; then how far the answers are off."""
    room = get_project(request.actor, project, "endpoint.view")
    version = get_version(request.actor, room, model, number)
    context: dict[str, Any] = {"project": room, "version": version}
    if request.method == "POST":
        context["runs"] = run_sample(actor=request.actor, version=version)
        return render_page(request, "deployments/_golden.html", context)
    context["rows"] = selectors.running_for(room, model, number)
    return render_page(request, "deployments/_golden_form.html", context)


def _posted_request(request: PageRequest, signature: dict[str, Any]) -> dict[str, Any]:
    if "raw" not in request.POST:
        return request_from(signature, {k.removeprefix("input:"): str(v) for k, v in request.POST.items()})
    return request_of(request.POST["raw"])


def likely(body: Any, labels: list[str]) -> list[dict[str, Any]]:
    """The five most probable classes of the first row of a ``probabilities`` output, where there is one."""
    outputs = body.get("outputs", []) if isinstance(body, dict) else []
    tensor = next((row for row in outputs if row.get("name") == "probabilities"), None)
    if not tensor or len(tensor.get("shape", [])) != 2:
        return []
    row = tensor["data"][: tensor["shape"][1]]
    names = labels if len(labels) == len(row) else [str(index) for index in range(len(row))]
    ranked = sorted(zip(names, row, strict=True), key=lambda pair: -pair[1])[:5]
    return [{"label": name, "share": share, "percent": f"{100 * share:.1f}"} for name, share in ranked]
