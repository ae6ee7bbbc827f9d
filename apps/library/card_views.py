"""Writing a version's card: the form, what it will look like, and its way out as a file."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.library import completeness, selectors, services
from apps.library.bom import make_bom, write_bom
from apps.library.cards import render_card
from apps.library.forms import CardForm
from apps.library.metadata import export_card, read_metadata
from apps.library.models import ModelVersion


def edit_card(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Edit the card in place; an empty one begins with the parts that reviewers look for."""
    room, row = _find(request, project, model, number)
    request.actor.require("model.edit", room)
    told = {"card": row.card or completeness.template(model), "base": selectors.card_revision(row)}
    form = CardForm(request.POST or None, initial=told)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            services.edit_card(actor=request.actor, version=row, **form.cleaned_data)
            messages.success(request, _("The card is saved."))
            return redirect("library:version_tab", room.slug, model, number, "card")
    text = request.POST.get("card", "") if form.is_bound else told["card"]
    context = {"project": room, "version": row, "form": form, **_preview(str(text))}
    return render_page(request, "library/card_edit.html", context, status=422 if form.errors else 200)


@require_POST
def preview_card(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """What is being written, as it will be read; nothing is kept."""
    room, row = _find(request, project, model, number)
    request.actor.require("model.edit", room)
    context = {"project": room, "version": row, **_preview(request.POST.get("card", "")[:200_000])}
    return render_page(request, "library/_card_preview.html", context)


@require_GET
def export(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """The card as a README.md with the front matter of model hubs."""
    _room, row = _find(request, project, model, number)
    return _file(export_card(row), f"{model}-v{number}.md", "text/markdown; charset=utf-8")


@require_GET
def bom(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """The version's bill of materials, CycloneDX 1.6."""
    _room, row = _find(request, project, model, number)
    text = write_bom(make_bom(selectors.load_evidence(row)))
    return _file(text, f"{model}-v{number}.cdx.json", "application/vnd.cyclonedx+json; version=1.6")


def _preview(text: str) -> dict[str, object]:
    return {"card": render_card(text), "metadata": read_metadata(text), "parts": completeness.check_card(text)}


def _find(request: PageRequest, project: str, model: str, number: int) -> tuple[Project, ModelVersion]:
    room = get_project(request.actor, project, "model.view")
    return room, selectors.get_version(request.actor, room, model, number)


def _file(text: str, name: str, kind: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(text, content_type=kind, headers=headers)
