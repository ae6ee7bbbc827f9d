"""The pages of targets and environments, and the forms of endpoints (what they serve is shown by deployments)."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.selectors import get_project
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.undo import say_done
from apps.core.web import PageRequest
from apps.targets import selectors, services, trials
from apps.targets.forms import FIELDS, EndpointForm, EnvironmentForm, TargetForm
from apps.targets.models import Target


@require_GET
def targets(request: PageRequest, project: str) -> HttpResponse:
    """Where models can run, and whether there is room."""
    room = get_project(request.actor, project, "endpoint.view")
    rows = list(selectors.targets())
    context = {"project": room, "targets": [(row, selectors.nodes_of(row)) for row in rows], "rows": rows}
    return render_page(request, "targets/targets.html", context, fragment="targets/_targets.html")


@require_GET
def target(request: PageRequest, project: str, name: str) -> HttpResponse:
    """One target: its last check line by line, and its nodes."""
    room = get_project(request.actor, project, "endpoint.view")
    row = selectors.get_target(name)
    context = {"project": room, "target": row, "nodes": selectors.nodes_of(row), "rows": [row]}
    return render_page(request, "targets/target.html", context, fragment="targets/_live.html")


def target_new(request: PageRequest, project: str) -> HttpResponse:
    """A short form for the kind that the address names."""
    room = get_project(request.actor, project)
    request.actor.require("target.edit")
    form = _form_of(request)
    if request.method == "POST" and form.is_valid():
        facts = {"name": form.cleaned_data["name"], "kind": form.kind, **_facts(form)}
        with refusals_into(form):
            made = services.create_target(actor=request.actor, **facts)
            messages.info(request, _("Looking at it; what was found shows here in a moment."))
            return redirect("targets:target", project=room.slug, name=made.name)
    context = {"project": room, "form": _without_secrets(form), "kinds": FIELDS}
    return render_page(request, "targets/target_edit.html", context, status=422 if form.errors else 200)


def target_edit(request: PageRequest, project: str, name: str) -> HttpResponse:
    """Other machines, or other credentials; those that are left empty stay."""
    room = get_project(request.actor, project)
    request.actor.require("target.edit")
    row = selectors.get_target(name)
    form = _form_of(request, row)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            services.edit_target(actor=request.actor, target=row, **_facts(form))
            messages.success(request, _("Saved. It is looked at again now."))
            return redirect("targets:target", project=room.slug, name=name)
    context = {"project": room, "form": _without_secrets(form), "target": row}
    return render_page(request, "targets/target_edit.html", context, status=422 if form.errors else 200)


@require_POST
def target_try(request: PageRequest, project: str, name: str = "") -> HttpResponse:
    """Look at what a form says, line by line, without saving any of it."""
    room = get_project(request.actor, project)
    request.actor.require("target.edit")
    row = selectors.get_target(name) if name else None
    form = _form_of(request, row)
    form.fields.pop("name", None)  # a check needs none
    found = None
    if form.is_valid():
        asked = {"kind": form.kind, "target": row, **_facts(form)}
        with refusals_into(form):
            found = trials.try_target(actor=request.actor, **asked)
    return _trial(request, {"project": room, "form": form, "trial": found}, status=200 if found else 422)


@require_GET
def target_trial(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """What was found so far."""
    room = get_project(request.actor, project)
    return _trial(request, {"project": room, "trial": trials.get_trial(request.actor, pk)}, status=200)


@require_POST
def node_act(request: PageRequest, project: str, name: str, node: str, verb: str) -> HttpResponse:
    """Drain or undrain one machine."""
    room = get_project(request.actor, project)
    row = selectors.get_target(name)
    (services.drain_node if verb == "drain" else services.undrain_node)(actor=request.actor, target=row, node=node)
    if verb == "drain":
        messages.info(request, _("Its replicas move to other machines now, one answering before the other ends."))
    return redirect("deployments:node", project=room.slug, target=name, node=node)


@require_POST
def target_act(request: PageRequest, project: str, name: str, verb: str) -> HttpResponse:
    """Check, enable or disable a target."""
    room = get_project(request.actor, project)
    row = selectors.get_target(name)
    if verb == "check":
        services.ask_for_check(actor=request.actor, target=row)
        messages.info(request, _("Looking at it; the lines below change in a moment."))
    else:
        services.edit_target(actor=request.actor, target=row, is_enabled=verb == "enable")
        is_on = verb == "enable"
        text = _("Models can be started on %(target)s again.") if is_on else _("Nothing new is started on %(target)s.")
        inverse = reverse("targets:target_disable" if is_on else "targets:target_enable", args=[room.slug, name])
        say_done(request, text % {"target": row}, undo=inverse)
    return redirect("targets:target", project=room.slug, name=name)


@require_GET
def environments(request: PageRequest, project: str) -> HttpResponse:
    """The policies of the project as sentences."""
    room = get_project(request.actor, project)
    context = {"project": room, "environments": selectors.environments(request.actor, room)}
    return render_page(request, "targets/environments.html", context)


def environment_new(request: PageRequest, project: str) -> HttpResponse:
    room = get_project(request.actor, project, "environment.edit")
    form = EnvironmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            services.create_environment(actor=request.actor, project=room, **form.cleaned_data)
            messages.success(request, _("Made."))
            return redirect("targets:environments", project=room.slug)
    context = {"project": room, "form": form, "title": _("New environment")}
    return render_page(request, "targets/environment_edit.html", context, status=422 if form.errors else 200)


def environment_edit(request: PageRequest, project: str, name: str) -> HttpResponse:
    room = get_project(request.actor, project, "environment.edit")
    row = selectors.get_environment(request.actor, room, name)
    form = EnvironmentForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        row.refresh_from_db()  # a model form has written onto it; the service compares with what is stored
        with refusals_into(form):
            services.edit_environment(actor=request.actor, environment=row, **form.changes())
            messages.success(request, _("Saved."))
            return _back(request) or redirect("targets:environments", project=room.slug)
    context = {"project": room, "form": form, "title": row.name}
    return render_page(request, "targets/environment_edit.html", context, status=422 if form.errors else 200)


def endpoint_new(request: PageRequest, project: str) -> HttpResponse:
    room = get_project(request.actor, project, "endpoint.create")
    asked = {"name": request.GET.get("name", "")}
    form = EndpointForm(request.POST or None, actor=request.actor, project=room, initial=asked)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            made = services.create_endpoint(actor=request.actor, project=room, **form.facts())
            messages.success(request, _("Made. It answers once a release is started here."))
            return _back(request) or redirect("deployments:endpoint", project=room.slug, endpoint=made.name)
    context = {"project": room, "form": form, "title": _("New endpoint")}
    return render_page(request, "targets/endpoint_edit.html", context, status=422 if form.errors else 200)


def endpoint_edit(request: PageRequest, project: str, endpoint: str) -> HttpResponse:
    room = get_project(request.actor, project, "endpoint.edit")
    row = selectors.get_endpoint(request.actor, room, endpoint)
    form = EndpointForm(request.POST or None, actor=request.actor, project=room, endpoint=row)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            services.edit_endpoint(actor=request.actor, endpoint=row, **form.facts())
            messages.success(request, _("Saved. Gateways know within a second."))
            return redirect("deployments:endpoint", project=room.slug, endpoint=row.name)
    context = {"project": room, "form": form, "title": row.name, "endpoint": row}
    return render_page(request, "targets/endpoint_edit.html", context, status=422 if form.errors else 200)


def _form_of(request: PageRequest, row: Target | None = None) -> TargetForm:
    asked = request.GET.get("kind", "")
    kind = row.kind if row else asked if asked in FIELDS else next(iter(FIELDS))
    return TargetForm(request.POST or None, kind=kind, target=row)


def _facts(form: TargetForm) -> dict[str, Any]:
    return {"config": form.config(), "secrets": form.secrets()}


def _trial(request: PageRequest, context: dict[str, Any], *, status: int) -> HttpResponse:
    return render_page(request, "targets/trial.html", context, fragment="targets/_trial.html", status=status)


def _without_secrets(form: TargetForm) -> TargetForm:
    if form.is_bound:
        form.show_nothing_secret()
    return form


def _back(request: PageRequest) -> HttpResponse | None:
    """Back to where the person came from, when that is one of our own pages."""
    there = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(there, allowed_hosts={request.get_host()}):
        return redirect(there)
    return None
