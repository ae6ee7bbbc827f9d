"""The pages of one version: its head, its tabs, and what can be done with it."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.errors import Missing
from apps.core.keyset import cut
from apps.core.pages import render_page
from apps.core.undo import say_done
from apps.core.web import PageRequest
from apps.library import selectors, services
from apps.library.cards import render_card
from apps.library.charts import latency_by_batch
from apps.library.comparison import diff
from apps.library.completeness import check_card
from apps.library.downloads import check_command, send_file, send_version
from apps.library.evidence import kind_of
from apps.library.lineage import draw_lineage
from apps.library.metadata import read_metadata
from apps.library.models import ModelVersion
from apps.library.tree import as_tree
from apps.library.views import address_of

MOVING = (ModelVersion.State.UPLOADED, ModelVersion.State.EXAMINING)
HISTORY_LENGTH = 50
SHOWN_VALUES = 500  # of each tensor of a sample
_PLAIN_LIST = re.compile(r"\[\n[^\[\]{}]*\]")  # no raw newline stands inside a JSON string
TABS = {
    "checks": gettext_lazy("Checks"),
    "signature": gettext_lazy("Signature & try"),
    "profile": pgettext_lazy("of a model", "Profile"),
    "card": gettext_lazy("Card"),
    "files": gettext_lazy("Files"),
    "lineage": gettext_lazy("Lineage"),
    "history": gettext_lazy("History"),
}


@require_GET
def version(request: PageRequest, project: str, model: str, number: int, tab: str = "checks") -> HttpResponse:
    """One version: its state, what can be done, and one of its tabs."""
    room, row = _find(request, project, model, number)
    if tab not in TABS:
        raise Missing(_("There is no such tab."))
    context = {**_head(room, row), "tab": tab, "tabs": TABS.items(), **(FACTS[tab](row) if tab in FACTS else {})}
    if tab == "history":
        context["page"] = cut(selectors.list_history(row), request.GET.get("cursor", ""), HISTORY_LENGTH)
    if tab == "card" and request.GET.get("revision", "").isdecimal():
        context |= _revision(row, int(request.GET["revision"][:6]))
    return render_page(request, f"library/version_{tab}.html", context)


@require_GET
def version_live(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """The checks and the head, asked for every second while the examination goes on."""
    room, row = _find(request, project, model, number)
    return render_page(request, "library/_live.html", {**_head(room, row), **_checks(row)})


@require_POST
def retire_version(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Take a version out of use."""
    _room, row = _find(request, project, model, number)
    services.retire_version(actor=request.actor, version=row, note=request.POST.get("note", "")[:2000])
    text = _("%(version)s is retired. What runs already keeps running.") % {"version": row}
    if row.served_format:
        say_done(request, text, undo=reverse("library:restore_version", args=[project, model, number]))
    else:  # it never passed, so nothing brings it back
        messages.success(request, text)
    return redirect(address_of(row))


@require_POST
def restore_version(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Bring a retired version back into use."""
    _room, row = _find(request, project, model, number)
    services.restore_version(actor=request.actor, version=row, note=request.POST.get("note", "")[:2000])
    text = _("%(version)s can be proposed again.") % {"version": row}
    say_done(request, text, undo=reverse("library:retire_version", args=[project, model, number]))
    return redirect(address_of(row))


@require_POST
def delete_version(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Delete a version that nothing refers to, for good."""
    room, row = _find(request, project, model, number)
    services.delete_version(actor=request.actor, version=row, note=request.POST.get("note", "")[:2000])
    messages.success(request, _("%(version)s is deleted.") % {"version": row})
    return redirect("library:model", project=room.slug, model=model)


@require_GET
def download(request: PageRequest, project: str, model: str, number: int) -> HttpResponseBase:
    """The uploaded files as an archive, or the one that ``?file=`` names."""
    _room, row = _find(request, project, model, number)
    name = request.GET.get("file", "")
    files = selectors.choose_files(row, name)
    return send_file(files[0], request) if name else send_version(row, files)


def _find(request: PageRequest, project: str, model: str, number: int) -> tuple[Project, ModelVersion]:
    room = get_project(request.actor, project, "model.view")
    return room, selectors.get_version(request.actor, room, model, number)


def _head(project: Project, version: ModelVersion) -> dict[str, Any]:
    return {"project": project, "version": version, "is_moving": version.state in MOVING}


def _checks(version: ModelVersion) -> dict[str, Any]:
    return {"checks": [(check, kind_of(check.key)) for check in version.checks.all()]}


def _signature(version: ModelVersion) -> dict[str, Any]:
    signature, golden = version.signature or {}, version.golden or {}
    request, response = _shortened(golden.get("request") or version.example), _shortened(golden.get("response"))
    return {
        "sides": [
            (_("Inputs"), signature.get("inputs", [])),
            (_("Outputs"), signature.get("outputs", [])),
        ],
        "request_text": _pretty(request),
        "response_text": _pretty(response),
        "is_shortened": (request, response) != (golden.get("request") or version.example, golden.get("response")),
        "shown_values": SHOWN_VALUES,
    }


def _shortened(body: Any) -> Any:
    """A sample with no more values of each tensor than a page can show."""
    if not isinstance(body, dict):
        return body
    return {side: [_cut(tensor) for tensor in rows] if isinstance(rows, list) else rows for side, rows in body.items()}


def _cut(tensor: Any) -> Any:
    is_long = isinstance(tensor, dict) and isinstance(tensor.get("data"), list) and len(tensor["data"]) > SHOWN_VALUES
    return {**tensor, "data": tensor["data"][:SHOWN_VALUES]} if is_long else tensor


def _profile(version: ModelVersion) -> dict[str, Any]:
    profile = version.profile or {}
    return {"profile": profile, "latency": profile.get("latency_ms") or {}, "figure": latency_by_batch(profile)}


def _card(version: ModelVersion) -> dict[str, Any]:
    return {
        "card": render_card(version.card),
        "metadata": read_metadata(version.card),
        "parts": check_card(version.card),
        "revisions": selectors.list_card_revisions(version),
    }


def _revision(version: ModelVersion, number: int) -> dict[str, Any]:
    """An earlier card in the place of the one in force, and what was changed since."""
    revision = selectors.get_card_revision(version, number)
    return {
        "card": render_card(revision.card),
        "metadata": read_metadata(revision.card),
        "revision": revision,
        "lines": list(diff(revision.card, version.card)),
    }


def _files(version: ModelVersion) -> dict[str, Any]:
    return {"rows": as_tree(selectors.list_files(version)), "check_command": check_command(version)}


def _lineage(version: ModelVersion) -> dict[str, Any]:
    return {"columns": draw_lineage(selectors.load_evidence(version))}


FACTS: dict[str, Callable[[ModelVersion], dict[str, Any]]] = {
    "checks": _checks,
    "signature": _signature,
    "profile": _profile,
    "card": _card,
    "files": _files,
    "lineage": _lineage,
}


def _pretty(value: Any) -> str:
    """JSON to be read: lists of plain values stay on one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False) if value else ""
    return _PLAIN_LIST.sub(lambda found: re.sub(r"\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)
