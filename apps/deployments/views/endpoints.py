"""The pages of an endpoint: what serves there, trying it, its code, logs and history, and shifting its traffic."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.errors import Invalid
from apps.core.pages import render_page
from apps.core.undo import say_done
from apps.core.web import PageRequest
from apps.deployments import selectors, services
from apps.deployments.forms import RollBackForm, TrafficForm
from apps.deployments.samples import samples, short_request
from apps.deployments.views.shared import deployment_context, find_endpoint
from apps.targets.models import Endpoint

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
    room, row = find_endpoint(request, project, endpoint)
    if tab not in TABS:
        tab = "overview"
    context = {**_live(request, room, row), "tab": tab, **_tab_context(request, row, tab)}
    return render_page(request, f"deployments/endpoint_{tab}.html", context)


@require_GET
def endpoint_live(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """The moving part of the endpoint page."""
    room, row = find_endpoint(request, project, endpoint)
    return render_page(request, "deployments/_live.html", _live(request, room, row))


@require_GET
def endpoint_logs(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    """The newest log lines of the replicas, searched where asked."""
    room, row = find_endpoint(request, project, endpoint)
    context = {"project": room, "endpoint": row, **_logs(request, row)}
    return render_page(request, "deployments/_logs.html", context)


@require_POST
def roll_back(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    room, row = find_endpoint(request, project, endpoint)
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
    room, row = find_endpoint(request, project, endpoint)
    running = selectors.running(row)
    form = TrafficForm(request.POST, deployments=running, shares={})
    before = {route.deployment_id: route.weight for route in selectors.routes(row)}
    services.set_traffic(actor=request.actor, endpoint=row, weights=form.weights())
    fields = [(f"weight_{one.pk}", before.get(one.pk, 0)) for one in running]
    say_done(request, _("The traffic is split as you said."), undo=request.path, fields=fields)
    return redirect("deployments:endpoint", project=room.slug, endpoint=row.name)


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
        **(deployment_context(current) if current else {"deployment": None, "moving": False}),
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


def split(weights: list[int]) -> list[dict[str, int]]:
    """Where each share of the traffic lies on a bar of 100."""
    return [
        {"start": sum(weights[:index]), "width": weight, "colour": index % 4 + 1}
        for index, weight in enumerate(weights)
    ]
