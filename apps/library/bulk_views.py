"""What is done to several models or versions at once: each on its own, and those that could not be are told by name."""

from collections.abc import Mapping, Sequence

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.undo import say_done
from apps.core.web import PageRequest
from apps.library import selectors, services
from apps.library.forms import TagForm
from apps.library.models import ModelVersion

MOST_TICKED = 200
NOTE_LIMIT = 2000


@require_POST
def tag_models(request: PageRequest, project: str, verb: str) -> HttpResponse:
    """Put one tag on the models that were ticked, or take it away."""
    room = get_project(request.actor, project, "model.edit")
    named = request.POST.getlist("models")[:MOST_TICKED]
    rows = selectors.list_models(request.actor, room).filter(name__in=named).select_related("project")
    form = TagForm(request.POST, names=[row.name for row in rows])
    if form.is_valid():
        act = services.tag_models if verb == "tag" else services.untag_models
        changed, refused = act(actor=request.actor, models=rows, tag=form.cleaned_data["tag"])
        _tell_tagged(request, room, verb, form.cleaned_data["tag"], changed)
        _tell_refused(request, refused)
    else:
        messages.error(request, _("Tick at least one model, and write a tag without spaces."))
    return redirect(_way_back(request, room))


def retire_versions(request: PageRequest, project: str) -> HttpResponse:
    """Versions out of use, by name or as all of ticked models: shown first, and retired once it is ``sure``."""
    room = get_project(request.actor, project, "version.retire")
    asked = request.POST or request.GET
    versions = [
        *selectors.find_versions(request.actor, room, asked.getlist("version")[:MOST_TICKED]),
        *selectors.find_usable_versions(request.actor, room, asked.getlist("models")[:MOST_TICKED])[:MOST_TICKED],
    ]
    if "sure" in request.POST:
        note = request.POST.get("note", "")[:NOTE_LIMIT]
        _tell_retired(request, room, versions, services.retire_each(actor=request.actor, versions=versions, note=note))
        return redirect(_way_back(request, room, versions))
    context = {
        "project": room,
        "versions": versions,
        "back": _way_back(request, room, versions),
        "kept": request.GET.urlencode() if request.method == "POST" else "",
    }
    return render_page(request, "library/versions_retire.html", context)


@require_POST
def restore_versions(request: PageRequest, project: str) -> HttpResponse:
    """Retired versions back into use, each on its own."""
    room = get_project(request.actor, project, "version.retire")
    versions = selectors.find_versions(request.actor, room, request.POST.getlist("version")[:MOST_TICKED])
    refused = services.restore_each(actor=request.actor, versions=versions)
    if count := len(versions) - len(refused):
        said = ngettext("%(count)d version is back in use.", "%(count)d versions are back in use.", count)
        messages.success(request, said % {"count": count})
    _tell_refused(request, {str(version): reason for version, reason in refused.items()})
    return redirect(_way_back(request, room))


def _tell_tagged(request: PageRequest, room: Project, verb: str, tag: str, changed: list[str]) -> None:
    if verb == "tag":
        said = ngettext("%(count)d model has the tag now.", "%(count)d models have the tag now.", len(changed))
    else:
        said = ngettext("%(count)d model has lost the tag.", "%(count)d models have lost the tag.", len(changed))
    text = said % {"count": len(changed)}
    if not changed:
        messages.success(request, text)
        return
    inverse = "untag_models" if verb == "tag" else "tag_models"
    fields = [("tag", tag), *(("models", name) for name in changed)]
    say_done(request, text, undo=_listed(request, reverse(f"library:{inverse}", args=[room.slug])), fields=fields)


def _tell_retired(
    request: PageRequest, room: Project, versions: list[ModelVersion], refused: Mapping[ModelVersion, str]
) -> None:
    """How many are retired, and by name which are not, and why. What never passed cannot be brought back."""
    retired = [version for version in versions if version not in refused]
    if retired:
        said = ngettext("%(count)d version is retired.", "%(count)d versions are retired.", len(retired))
        fields = [("version", name_of(version)) for version in retired if version.served_format]
        text = said % {"count": len(retired)}
        if fields:
            say_done(request, text, undo=reverse("library:restore_versions", args=[room.slug]), fields=fields)
        else:
            messages.success(request, text)
    _tell_refused(request, {str(version): reason for version, reason in refused.items()})


def _tell_refused(request: PageRequest, refused: Mapping[str, str]) -> None:
    for name, reason in refused.items():
        messages.error(request, _("%(version)s stays: %(reason)s") % {"version": name, "reason": reason})


def name_of(version: ModelVersion) -> str:
    """As forms and addresses name a version: ``digits/3``."""
    return f"{version.model.name}/{version.number}"


def _listed(request: PageRequest, address: str) -> str:
    """An address with the filters of the list that this came from."""
    return f"{address}?{request.GET.urlencode()}" if request.GET else address


def _way_back(request: PageRequest, room: Project, versions: Sequence[ModelVersion] = ()) -> str:
    """To the model, where they are all of one; else, or where a list's filters came along, to the list as it was."""
    names = {version.model.name for version in versions}
    if len(names) == 1 and (request.method == "GET" or not request.GET):
        return reverse("library:model", args=[room.slug, *names])
    return _listed(request, reverse("library:models", args=[room.slug]))
