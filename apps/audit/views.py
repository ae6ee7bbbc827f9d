"""The log's page: filters, entries that open to before and after, and the state of the chain."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.audit import selectors
from apps.audit.changes import changes
from apps.audit.checkpoints import key_texts, last_checkpoint, last_verification
from apps.audit.forms import FilterForm
from apps.audit.models import Entry
from apps.audit.services import verify_chain
from apps.core.errors import Invalid
from apps.core.messages import say
from apps.core.pages import render_page
from apps.core.web import PageRequest

PAGE = 50
VERIFIABLE_HERE = 100_000  # more entries than these take longer than a page may


@require_safe
def entries(request: PageRequest, project: str) -> HttpResponse:
    """The newest entries that fit the filters, ``PAGE`` at a time; ``?scope=all`` for the whole installation."""
    found = selectors.get_project(request.actor, project, "audit.view")
    form = FilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    sees_all = request.actor.may("audit.view_all")
    shows_all = sees_all and wanted.get("scope") == "all"
    rows = selectors.entries(request.actor, None if shows_all else found)
    shown = _page(selectors.narrow(rows, wanted), wanted.get("before"))
    context = {
        "project": found,
        "form": form,
        "wanted": wanted,
        "sees_all": sees_all,
        **selectors.words(rows, None if shows_all else found),
        "rows": [(entry, changes(entry.before, entry.after)) for entry in shown[:PAGE]],
        "older": _address(request, before=shown[PAGE - 1].seq) if len(shown) > PAGE else "",
        "newest": _address(request, before=None) if wanted.get("before") else "",
        "head": selectors.head(),
        "verification": last_verification(),
        "checkpoint": last_checkpoint(),
        "keys": key_texts(),
    }
    return render_page(request, "audit/entries.html", context, fragment="audit/_entries.html")


@require_POST
def verify(request: PageRequest, project: str) -> HttpResponse:
    """Verify the whole chain now."""
    selectors.get_project(request.actor, project, "audit.view")
    if selectors.head()[0] > VERIFIABLE_HERE:
        raise Invalid(_("This log is too long to be verified on a page."), advice=_("Run “manage.py verify_audit”."))
    found = verify_chain()
    if found.is_whole:
        messages.success(request, _("The log is whole: %(count)d entries verified.") % {"count": found.seq})
    else:
        messages.error(request, say(found.problem))
    return redirect("audit:entries", project)


def _page(rows: Any, before: int | None) -> list[Entry]:
    """One more than a page, by number rather than by offset: as quick at the end of a long log as at its start."""
    return list((rows.filter(seq__lt=before) if before else rows).order_by("-seq")[: PAGE + 1])


def _address(request: PageRequest, *, before: int | None) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    if before:
        query["before"] = str(before)
    return f"{request.path}?{query.urlencode()}"
