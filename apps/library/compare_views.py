"""Any two versions side by side, of one model or of two: ``?version=digits/3&version=digits/4``."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.library import selectors
from apps.library.comparison import compare as compare_versions
from apps.library.comparison import only_differences
from apps.library.models import ModelVersion

OFFERED = 100


@require_GET
def compare(request: PageRequest, project: str) -> HttpResponse:
    """What differs between two versions; with fewer than two, the way to choose them."""
    room = get_project(request.actor, project, "model.view")
    names = [name.strip() for name in request.GET.getlist("version") if name.strip()][:2]
    chosen = [_find(request.actor, room, name) for name in names]
    context: dict[str, Any] = {
        "project": room,
        "chosen": chosen,
        "names": [*names, "", ""][:2],
        "offered": selectors.list_newest(request.actor, room, chosen[0].model if chosen else None)[:OFFERED],
        "is_short": request.GET.get("only") == "differences",
    }
    if len(chosen) == 2:
        sections = compare_versions(*chosen)
        context |= {
            "sections": only_differences(sections) if context["is_short"] else sections,
            "is_equal": not any(section.is_different for section in sections),
            "turned": _address(reversed(names), context["is_short"]),
            "other_length": _address(names, not context["is_short"]),
        }
    return render_page(request, "library/compare.html", context)


def _find(actor: Actor, project: Project, name: str) -> ModelVersion:
    """The version that ``model/number`` or “model vnumber” names, with its files and checks at hand."""
    model, _slash, number = name.replace(" v", "/").rpartition("/")
    if not number.isdecimal() or len(number) > 9:
        raise Missing(
            _("There is no version “%(text)s” in this project.") % {"text": name[:80]},
            advice=_("Write it as model/number, e.g. digits/3."),
        )
    return selectors.load_evidence(selectors.get_version(actor, project, model, int(number)))


def _address(names: Any, is_short: bool) -> str:
    query = [("version", name) for name in names] + ([("only", "differences")] if is_short else [])
    return f"?{urlencode(query)}"
