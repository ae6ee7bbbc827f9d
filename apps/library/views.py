"""Pages of the library: models, one model, and how a new version gets in."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.actors import Actor
from apps.core.bodies import announced_bytes, measures_bodies
from apps.core.errors import Missing
from apps.core.keyset import cut
from apps.core.looks import look_of
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.library import quota, selectors, services
from apps.library.facets import NO, YES, Facet, ModelFilter
from apps.library.forms import TASKS, ModelForm, UploadForm
from apps.library.models import MLModel, ModelVersion

PAGE_SIZE = 30
ORDERINGS = (
    ("", gettext_lazy("Best fit, latest change")),
    ("-updated", gettext_lazy("Latest change")),
    ("name", gettext_lazy("Name")),
    ("-created", gettext_lazy("Newest")),
    ("owner", gettext_lazy("Owner")),
)
UPLOAD_WORDS = {  # what upload.js says
    "waiting": gettext_lazy("waiting"),
    "sending": gettext_lazy("uploading"),
    "paused": gettext_lazy("paused"),
    "retrying": gettext_lazy("the server asks for patience, trying again"),
    "offline": gettext_lazy("waiting for the network, goes on by itself"),
    "storing": gettext_lazy("arrived, being put away"),
    "done": gettext_lazy("uploaded"),
    "tooLarge": gettext_lazy("This file is larger than this installation takes."),
    "empty": gettext_lazy("This file is empty."),
    "twice": gettext_lazy("There is a file of this name in the list already."),
    "unreadable": gettext_lazy("This file was changed, moved or deleted and can no longer be read. Add it again."),
    "renamed": gettext_lazy("renamed from {name}"),
    "left": gettext_lazy("{time} left"),
    "of": gettext_lazy("{done} of {size}"),
    "unfinished": gettext_lazy("Not finished last time: {name}, {come}. Add the same file again to go on."),
    "send": gettext_lazy("Create version"),
    "sendLater": gettext_lazy("Creates the version when all is in"),
    "known": gettext_lazy("There is a model of this name: it gets a new version."),
    "unknown": gettext_lazy("A new model of this name is made."),
    "failed": gettext_lazy("The server did not take this file."),
    "failedFirst": gettext_lazy("Remove what could not be uploaded, or add it again."),
}
FACET_TITLES = {
    "state": gettext_lazy("State"),
    "framework": gettext_lazy("Framework"),
    "task": gettext_lazy("Task"),
    "running": gettext_lazy("Running"),
    "owner": gettext_lazy("Owner"),
    "tag": gettext_lazy("Tags"),
}
RUNNING_WORDS = {YES: gettext_lazy("runs somewhere"), NO: gettext_lazy("runs nowhere")}


@require_GET
def models(request: PageRequest, project: str) -> HttpResponse:
    """All models, searched and narrowed by facets."""
    room = get_project(request.actor, project, "model.view")
    wanted = ModelFilter.read(request.GET)
    tally = selectors.tally_models(request.actor, room, wanted)
    context = {
        "project": room,
        "page": selectors.find_models(request.actor, room, wanted, request.GET.get("cursor", ""), PAGE_SIZE),
        "wanted": wanted,
        "tally": tally,
        "facets": _linked(request, tally.facets),
        "chosen": _chosen(request, wanted, tally.without),
        "orderings": ORDERINGS,
        "here": request.build_absolute_uri(_without(request, "cursor")),
        "kept": request.GET.urlencode(),  # the forms carry it, so that one comes back to this very list
    }
    if not tally.count and not wanted.is_narrowed:
        context |= {"form": UploadForm(), **_upload_facts(request.actor, room)}
    return render_page(request, "library/models.html", context, fragment="library/_models.html")


@csrf_exempt  # the token stands in the form, which is not read before it is measured
@measures_bodies
def upload(request: PageRequest, project: str) -> HttpResponse:
    """Get a model in: the page, and the version made of what arrived."""
    room = get_project(request.actor, project, "version.upload")
    quota.require_form(room, announced_bytes(request))
    return _upload(request, room)


@csrf_protect
def _upload(request: PageRequest, room: Project) -> HttpResponse:
    asked = {"model": request.GET.get("model", ""), "parent": request.GET.get("parent", "")}
    form = UploadForm(request.POST or None, request.FILES or None, initial=asked)
    if request.method == "POST" and form.is_valid():
        address = address_of(_make_version(request.actor, room, form.cleaned_data))
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
    api = request.build_absolute_uri("/api/v1")
    context = {"project": room, "form": form, "api": api, **_upload_facts(request.actor, room)}
    status = 422 if form.is_bound else 200
    return render_page(request, "library/upload.html", context, fragment="library/_upload_fields.html", status=status)


@require_POST
def use_sample(request: PageRequest, project: str) -> HttpResponse:
    """Begin with the model that is offered to whoever has none at hand."""
    room = get_project(request.actor, project, "version.upload")
    return redirect(address_of(services.upload_sample(actor=request.actor, project=room)))


@require_GET
def model(request: PageRequest, project: str, model: str) -> HttpResponse:
    """One model and its versions."""
    room, row = _find_model(request, project, model)
    wanted = {name: request.GET.get(name, "") for name in ("search", "state", "ordering")}
    context = {
        "project": room,
        "model": row,
        "page": cut(selectors.list_versions(request.actor, row, **wanted), request.GET.get("cursor", ""), PAGE_SIZE),
        "wanted": wanted,
        "states": ModelVersion.State.values,
        "form": ModelForm(initial={"description": row.description, "task": row.task, "tags": " ".join(row.tags)}),
        "tasks": TASKS,
    }
    return render_page(request, "library/model.html", context, fragment="library/_versions.html")


def edit_model(request: PageRequest, project: str, model: str) -> HttpResponse:
    """Description, task and tags of a model."""
    room, row = _find_model(request, project, model)
    request.actor.require("model.edit", room)
    told = {"description": row.description, "task": row.task, "tags": " ".join(row.tags)}
    form = ModelForm(request.POST or None, initial=told)
    if request.method == "POST" and form.is_valid():
        services.edit_model(actor=request.actor, model=row, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("library:model", project=room.slug, model=row.name)
    context = {"project": room, "model": row, "form": form, "tasks": TASKS}
    return render_page(request, "library/model_edit.html", context, status=422 if form.is_bound else 200)


def address_of(version: ModelVersion) -> str:
    return reverse("library:version", args=[version.project.slug, version.model.name, version.number])


def _linked(request: PageRequest, facets: dict[str, list[Facet]]) -> list[tuple[str, Any, list[Any]]]:
    """By facet its name, its title, and each value with its word and the address that chooses it or takes it back."""
    return [
        (name, title, [(facet, _word(name, facet.value), _turned(request, name, facet)) for facet in facets[name]])
        for name, title in FACET_TITLES.items()
        if facets[name]
    ]


def _chosen(request: PageRequest, wanted: ModelFilter, without: dict[str, int]) -> list[tuple[Any, ...]]:
    """Each filter in use: its name and title, its value and word, the address without it, and how many fit then."""
    return [
        (name, FACET_TITLES[name], value, _word(name, value), _without(request, name, "cursor"), without.get(name, 0))
        for name, value in wanted.chosen.items()
    ]


def _word(facet: str, value: str) -> Any:
    return look_of(value).word if facet == "state" else RUNNING_WORDS.get(value, value) if facet == "running" else value


def _turned(request: PageRequest, name: str, facet: Facet) -> str:
    if facet.is_chosen:
        return _without(request, name, "cursor")
    query = request.GET.copy()
    query.pop("cursor", None)
    query[name] = facet.value
    return f"{request.path}?{query.urlencode()}"


def _without(request: PageRequest, *names: str) -> str:
    """This address without these parts and without empty ones."""
    query = request.GET.copy()
    for name in [name for name in query if name in names or not query[name]]:
        query.pop(name)
    return f"{request.path}?{query.urlencode()}" if query else request.path


def _find_model(request: PageRequest, project: str, model: str) -> tuple[Project, MLModel]:
    room = get_project(request.actor, project, "model.view")
    return room, selectors.get_model(request.actor, room, model)


def _upload_facts(actor: Actor, project: Project) -> dict[str, Any]:
    """What the drop zone needs to know."""
    return {
        "known_models": selectors.list_models(actor, project).values_list("name", flat=True)[:500],
        "max_bytes": quota.max_bytes(),
        "words": UPLOAD_WORDS,
    }


def _make_version(actor: Actor, project: Project, facts: dict[str, Any]) -> ModelVersion:
    return services.create_named_version(
        actor=actor,
        project=project,
        name=facts["model"],
        uploads=selectors.get_uploads(actor, project, facts["uploads"]),
        files=[
            services.store_file(actor=actor, project=project, name=file.name, stream=file) for file in facts["files"]
        ],
        description=facts["description"],
        labels=facts["labels"],
        example=facts["example"],
        parent=_parent(actor, project, facts["parent"]),
    )


def _parent(actor: Actor, project: Project, text: str) -> ModelVersion | None:
    """The version that ``model/number`` names."""
    name, _slash, number = text.rpartition("/")
    if not text:
        return None
    if not number.isdecimal():
        raise Missing(_("There is no version “%(text)s” in this project.") % {"text": text})
    return selectors.get_version(actor, project, name, int(number))
