"""The start, the list of projects, making and changing one, and the search inside it."""

from decimal import Decimal

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.accounts import services as accounts
from apps.accounts.forms import GIGABYTE, ProjectEditForm, ProjectForm
from apps.accounts.selectors import get_project
from apps.accounts.selectors import projects as projects_of
from apps.core import search as searching
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.templatetags.slipway import url_if_any
from apps.core.web import PageRequest


@require_safe
def home(request: PageRequest) -> HttpResponse:
    """On to the project worked in last, or to making the first one."""
    if request.last_project:
        return enter(request, request.last_project.slug)
    if request.actor.may("project.create"):
        return redirect("site:project_new")
    return redirect("site:projects")


@require_safe
def enter(request: PageRequest, slug: str) -> HttpResponse:
    """A project's front page, or its members where no front page is installed."""
    return redirect(url_if_any("monitoring:overview", project=slug) or url_if_any("accounts:members", project=slug))


@require_safe
def projects(request: PageRequest) -> HttpResponse:
    return render_page(request, "accounts/projects.html", {"projects": projects_of(request.actor)})


@require_safe
def switcher(request: PageRequest) -> HttpResponse:
    """The menu of projects, asked for when somebody opens it."""
    context = {"projects": projects_of(request.actor)[:30], "here": request.GET.get("here", "")}
    return render(request, "accounts/_switcher.html", context)


def project_new(request: PageRequest) -> HttpResponse:
    request.actor.require("project.create")
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            project = accounts.create_project(actor=request.actor, **form.cleaned_data)
            return redirect("site:enter", project.slug)
    is_first = not projects_of(request.actor).exists()
    context = {"form": form, "is_first": is_first}
    return render_page(request, "accounts/project_new.html", context, status=422 if form.errors else 200)


def project_edit(request: PageRequest, project: str) -> HttpResponse:
    found = get_project(request.actor, project, "project.edit")
    initial = {
        "name": found.name,
        "description": found.description,
        "quota_gb": Decimal(str(round(found.quota_bytes / GIGABYTE, 3))),
    }
    may_set_quota = request.actor.may("project.set_quota")
    form = ProjectEditForm(request.POST or None, initial=initial, may_set_quota=may_set_quota)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            accounts.edit_project(actor=request.actor, project=found, **form.facts())
            messages.success(request, _("Saved."))
            return redirect("accounts:project_edit", project)
    context = {"project": found, "form": form}
    return render_page(request, "accounts/project_edit.html", context, status=422 if form.errors else 200)


@require_safe
def search(request: PageRequest, project: str) -> HttpResponse:
    """Hits for the palette."""
    found = get_project(request.actor, project)
    hits = searching.find(request.actor, found, request.GET.get("q", "")[:100])
    return render(request, "accounts/_hits.html", {"hits": hits})
