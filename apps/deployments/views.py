"""The pages of endpoints and deployments: what serves, how it came to serve, and what can be done about it."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.errors import Invalid
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.deployments import selectors, services
from apps.deployments.forms import RollBackForm, ScaleForm, TrafficForm
from apps.deployments.samples import samples, short_request
from apps.deployments.timeline import is_moving, timeline, total_seconds
from apps.deployments.trying import request_from, try_endpoint
from apps.releases.difference import differences
from apps.releases.selectors import get_release, last_build
from apps.targets.models import Endpoint
from apps.targets.selectors import get_endpoint

TABS = ("overview", "try", "code", "logs", "history", "settings")


@require_GET
def endpoints(request: PageRequest, project: str) -> HttpResponse:
    """All addresses of the project and what serves at each."""
    room = get_project(request.actor, project, "endpoint.view")
    context = {"project": room, "rows": selectors.endpoint_rows(request.actor, room)}
    return render_page(request, "deployments/endpoints.html", context, fragment="deployments/_endpoints.html")


@require_GET
def endpoint(request: PageRequest, project: str, endpoint: str, tab: str = "overview") -> HttpResponse:
    """One address: its charts, who gets its traffic, its replicas, and the timeline of what runs."""
    room, row = _find(request, project, endpoint)
    if tab not in TABS:
        tab = "overview"
    context = {**_live(request, room, row), "tab": tab, **_tab_context(request, row, tab)}
    return render_page(request, f"deployments/endpoint_{tab}.html", context)


@require_GET
def endpoint_live(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """The moving part of the endpoint page."""
    room, row = _find(request, project, endpoint)
    return render_page(request, "deployments/_live.html", _live(request, room, row))


@require_GET
def endpoint_logs(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """The newest log lines of the replicas, searched where asked."""
    room, row = _find(request, project, endpoint)
    context = {"project": room, "endpoint": row, **_logs(request, row)}
    return render_page(request, "deployments/_logs.html", context)


@require_POST
def try_it(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """Send what the form holds to a healthy replica and show its answer."""
    room, row = _find(request, project, endpoint)
    deployment = selectors.live(row)
    signature = (deployment.release.version.signature if deployment else None) or {}
    answer = try_endpoint(actor=request.actor, endpoint=row, request=_posted_request(request, signature))
    labels = deployment.release.version.class_labels if deployment else []
    context = {"project": room, "endpoint": row, "answer": answer, "likely": likely(answer.body, labels)}
    return render_page(request, "deployments/_answer.html", context)


@require_POST
def roll_back(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    room, row = _find(request, project, endpoint)
    form = RollBackForm(request.POST)
    if not form.is_valid():
        raise Invalid(_("Choose one of the earlier deployments."))
    pk = form.cleaned_data["deployment"]
    to = selectors.get_deployment(request.actor, room, pk) if pk else None
    services.roll_back(actor=request.actor, endpoint=row, to=to, note=form.cleaned_data["note"])
    messages.success(request, _("Rolling back: the earlier release takes the traffic as soon as it is healthy."))
    return redirect("deployments:endpoint", project=room.slug, endpoint=row.name)


@require_POST
def set_traffic(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    room, row = _find(request, project, endpoint)
    running = selectors.running(row)
    form = TrafficForm(request.POST, deployments=running, shares={})
    services.set_traffic(actor=request.actor, endpoint=row, weights=form.weights())
    messages.success(request, _("The traffic is split as you said."))
    return redirect("deployments:endpoint", project=room.slug, endpoint=row.name)


@require_GET
def deployment(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """One deployment, running or of the past: its timeline, desired against observed, replicas and logs."""
    room = get_project(request.actor, project, "endpoint.view")
    row = selectors.get_deployment(request.actor, room, pk)
    context = {"project": room, "endpoint": row.endpoint, **_deployment_context(row)}
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
        "lines": lines,
        "total": total_seconds(lines),
        "moving": is_moving(build, row),
    }
    return render_page(request, "deployments/_progress.html", context)


@require_GET
def running_for_version(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Where a version runs now (for its page)."""
    room = get_project(request.actor, project, "endpoint.view")
    rows = selectors.running_for(room, model, number)
    return render_page(request, "deployments/_running.html", {"project": room, "rows": rows})


@require_GET
def running_for_model(request: PageRequest, project: str, model: str) -> HttpResponse:
    """Where any version of a model runs now (for its page)."""
    room = get_project(request.actor, project, "endpoint.view")
    rows = selectors.running_for(room, model)
    return render_page(request, "deployments/_running.html", {"project": room, "rows": rows})


def split(weights: list[int]) -> list[dict[str, int]]:
    """Where each share of the traffic lies on a bar of 100."""
    return [
        {"start": sum(weights[:index]), "width": weight, "colour": index % 4 + 1}
        for index, weight in enumerate(weights)
    ]


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


DONE = {
    "stop": gettext_lazy("Stopping: its traffic is gone, and its replicas finish what they are doing."),
    "start": gettext_lazy("Starting."),
    "scale": gettext_lazy("Scaling."),
}


def _find(request: PageRequest, project: str, name: str) -> tuple[Project, Endpoint]:
    room = get_project(request.actor, project, "endpoint.view")
    return room, get_endpoint(request.actor, room, name)


def _live(request: PageRequest, room: Project, row: Endpoint) -> dict[str, Any]:
    current = selectors.current(row)
    live = selectors.live(row)
    return {
        "project": room,
        "endpoint": row,
        "url": f"{settings.SLIPWAY_GATEWAY_URL}/{room.slug}/{row.name}",
        "state": selectors.endpoint_state(row),
        "routes": (routes := list(selectors.routes(row))),
        "split": split([route.weight for route in routes]),
        "live": live,
        **(_deployment_context(current) if current else {"deployment": None, "moving": False}),
    }


def _deployment_context(row: Any) -> dict[str, Any]:
    lines = timeline(row.build, row)
    return {
        "deployment": row,
        "replicas": selectors.replicas(row),
        "lines": lines,
        "total": total_seconds(lines),
        "moving": is_moving(None, row),
        "scale_form": ScaleForm(initial={"replicas": row.replicas}),
    }


def _tab_context(request: PageRequest, row: Endpoint, tab: str) -> dict[str, Any]:
    if tab == "logs":
        return _logs(request, row)
    if tab == "history":
        return {"history": selectors.history(row), "good": {d.pk for d in selectors.good(row)}}
    if tab == "settings":
        running = selectors.running(row)
        shares = {route.deployment_id: route.weight for route in selectors.routes(row)}
        return {"running": running, "traffic_form": TrafficForm(deployments=running, shares=shares)}
    if tab in {"try", "code"}:
        return _calling(row, f"{settings.SLIPWAY_GATEWAY_URL}/{row.project.slug}/{row.name}")
    return {}


def _calling(row: Endpoint, url: str) -> dict[str, Any]:
    deployment = selectors.live(row)
    version = deployment.release.version if deployment else None
    if version is None:
        return {"version": None}
    golden = short_request(version.golden.get("request") or {"inputs": []})
    given = {tensor["name"]: json.dumps(tensor["data"]) for tensor in golden["inputs"]}
    inputs = [{**tensor, "value": given.get(tensor["name"], "[]")} for tensor in (version.signature or {})["inputs"]]
    return {
        "version": version,
        "inputs": inputs,
        "raw": json.dumps(golden, indent=2),
        "samples": samples(url, version.model.name, golden),
    }


def _logs(request: PageRequest, row: Endpoint) -> dict[str, Any]:
    request.actor.require("deployment.logs", row.project)
    wanted, chosen = request.GET.get("search", "").lower(), request.GET.get("replica", "")
    current = selectors.current(row)
    logs = selectors.logs(current) if current else {}
    shown = {
        name: [line for line in lines if wanted in line.lower()]
        for name, lines in logs.items()
        if not chosen or chosen == name
    }
    return {"logs": shown, "names": list(logs), "search": request.GET.get("search", ""), "chosen": chosen}


def _posted_request(request: PageRequest, signature: dict[str, Any]) -> dict[str, Any]:
    if "raw" not in request.POST:
        return request_from(signature, {k.removeprefix("input:"): str(v) for k, v in request.POST.items()})
    try:
        body = json.loads(request.POST["raw"])
    except ValueError as error:
        raise Invalid(_("This is not JSON: %(reason)s") % {"reason": error}) from error
    if not isinstance(body, dict):
        raise Invalid(_("An inference request is a JSON object with “inputs”."))
    return body
