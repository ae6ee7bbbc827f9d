"""The pages of exceptions: what was asked for and granted, one sheet to decide on, and the form that asks."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.errors import Missing
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.library import selectors, services
from apps.library.evidence import kind_of
from apps.library.exceptions import Standing, get_exception, list_exceptions, standing_of
from apps.library.models import SafetyException

SHOWN = 200
CHECKS = ("content", "safety")  # what was known when it was asked for, and what decides


class DecisionForm(forms.Form):
    """The subject that was shown, posted back unseen, and a comment."""

    subject = forms.CharField(min_length=64, max_length=64, widget=forms.HiddenInput)
    note = forms.CharField(
        label=gettext_lazy("Comment"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=10_000,
        required=False,
    )


@require_GET
def exceptions(request: PageRequest, project: str) -> HttpResponse:
    """What waits for a decision, what is granted, and what is over."""
    room = get_project(request.actor, project, "model.view")
    rows = list(list_exceptions(request.actor, room)[:SHOWN])
    return render_page(request, "library/exceptions.html", {"project": room, "rows": rows})


@require_GET
def exception(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """The sheet to decide on: the names, the reason, who said what."""
    room, row = _find(request, project, pk)
    return _sheet(request, room, row, DecisionForm(initial={"subject": row.subject}))


@require_POST
def ask_exception(request: PageRequest, project: str, model: str, number: int) -> HttpResponse:
    """Ask to have a refused version opened for the names that its safety check listed."""
    room = get_project(request.actor, project, "model.view")
    version = selectors.get_version(request.actor, room, model, number)
    made = services.ask_exception(actor=request.actor, version=version, reason=request.POST.get("reason", "")[:10_000])
    messages.success(request, _("Asked for. Two people have to agree, one of them an administrator."))
    return redirect("library:exception", project=room.slug, pk=made.pk)


@require_POST
def decide_exception(request: PageRequest, project: str, pk: int, decision: str) -> HttpResponse:
    """Approve or reject the names that the form's subject stands for."""
    room, row = _find(request, project, pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _sheet(request, room, row, form, status=422)
    act = services.approve_exception if decision == "approve" else services.reject_exception
    act(actor=request.actor, exception=row, **form.cleaned_data)
    messages.success(request, _("Approved.") if decision == "approve" else _("Rejected."))
    return redirect("library:exception", project=room.slug, pk=pk)


@require_POST
def revoke_exception(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """Take a granted exception back."""
    room, row = _find(request, project, pk)
    services.revoke_exception(actor=request.actor, exception=row, note=request.POST.get("note", "")[:10_000])
    messages.success(request, _("Revoked. The version is retired; what runs of it keeps running until it is stopped."))
    return redirect("library:exception", project=room.slug, pk=pk)


def _find(request: PageRequest, project: str, pk: int) -> tuple[Project, SafetyException]:
    room = get_project(request.actor, project, "model.view")
    row = get_exception(request.actor, room, pk)
    if row is None:
        raise Missing(_("There is no exception #%(pk)s in this project.") % {"pk": pk})
    return room, row


def _sheet(
    request: PageRequest, room: Project, row: SafetyException, form: DecisionForm, *, status: int = 200
) -> HttpResponse:
    standing: Standing = standing_of(row, request.actor)
    checks = [(check, kind_of(check.key)) for check in row.version.checks.all() if check.key in CHECKS]
    context: dict[str, Any] = {
        "project": room,
        "exception": row,
        "version": row.version,
        "standing": standing,
        "checks": checks,
        "form": form,
    }
    return render_page(request, "library/exception.html", context, status=status)
