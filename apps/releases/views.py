"""The release pages: what waits, one sheet to decide on, and the form that proposes."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.keyset import cut
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.library.evidence import kind_of
from apps.releases import selectors, services
from apps.releases.attachments import FILES, open_file
from apps.releases.evidence import checks_verdict, profile_verdict
from apps.releases.forms import DecisionForm, ProposalForm
from apps.releases.models import Release
from apps.releases.policy import policy_of
from apps.targets.selectors import endpoints

GROUPS = {
    "waiting": (Release.State.IN_REVIEW,),
    "approved": (Release.State.APPROVED,),
    "closed": (Release.State.REJECTED, Release.State.WITHDRAWN, Release.State.EXPIRED, Release.State.SUPERSEDED),
}
GROUP_SIZE, PAGE_SIZE = 20, 50
COMMENT_LIMIT = 10_000


@require_GET
def releases(request: PageRequest, project: str) -> HttpResponse:
    """What waits, what was approved and what is closed: the newest of each, or one of the groups page by page."""
    room = get_project(request.actor, project, "release.view")
    rows = selectors.releases(request.actor, room)
    chosen = request.GET.get("group", "")
    groups = {chosen: GROUPS[chosen]} if chosen in GROUPS else GROUPS
    size = PAGE_SIZE if chosen in GROUPS else GROUP_SIZE
    cursor = request.GET.get("cursor", "") if chosen in GROUPS else ""
    context = {
        "project": room,
        "groups": {name: cut(rows.filter(state__in=states), cursor, size) for name, states in groups.items()},
        "is_whole": chosen in GROUPS,
        "mine": set(selectors.waiting_for(request.actor).filter(project=room).values_list("pk", flat=True)),
    }
    return render_page(request, "releases/releases.html", context, fragment="releases/_releases.html")


def propose(request: PageRequest, project: str) -> HttpResponse:
    """Propose a version for an endpoint."""
    room = get_project(request.actor, project, "release.propose")
    form = ProposalForm(request.POST or None, actor=request.actor, project=room, initial=_chosen(request, room))
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        release = services.propose(
            actor=request.actor,
            version=chosen["version"],
            endpoint=chosen["endpoint"],
            replicas=chosen["replicas"],
            note=chosen["note"],
            options=form.options(),
        )
        messages.success(request, _("Proposed. Whoever may review has it on their overview now."))
        return redirect("releases:release", project=room.slug, pk=release.pk)
    context = {"project": room, "form": form, "endpoints": endpoints(request.actor, room)}
    return render_page(request, "releases/propose.html", context, status=422 if form.errors else 200)


@require_GET
def release(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """The review sheet, and after the decision what became of it."""
    room, row = _find(request, project, pk)
    return _sheet(request, room, row, DecisionForm(initial={"subject": row.subject}))


@require_POST
def decide(request: PageRequest, project: str, pk: int, decision: str) -> HttpResponse:
    """Approve or reject the subject that the form carries."""
    room, row = _find(request, project, pk)
    form = DecisionForm(request.POST, decision=decision, actor=request.actor)
    if not form.is_valid():
        return _sheet(request, room, row, form, status=422)
    act = services.approve if decision == "approve" else services.reject
    act(actor=request.actor, release=row, **form.cleaned_data)
    messages.success(request, _("Approved.") if decision == "approve" else _("Rejected."))
    return redirect("releases:release", project=room.slug, pk=pk)


@require_POST
def comment(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """Ask or answer before the decision."""
    room, row = _find(request, project, pk)
    services.comment(actor=request.actor, release=row, text=request.POST.get("text", "")[:COMMENT_LIMIT])
    return redirect(f"{reverse('releases:release', args=[room.slug, pk])}#comments")


@require_POST
def withdraw(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room, row = _find(request, project, pk)
    services.withdraw(actor=request.actor, release=row)
    messages.success(request, _("Withdrawn."))
    return redirect("releases:release", project=room.slug, pk=pk)


@require_POST
def retry_build(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room, row = _find(request, project, pk)
    services.retry_build(actor=request.actor, release=row)
    return redirect("releases:release", project=room.slug, pk=pk)


@require_GET
def attachment(request: PageRequest, project: str, pk: int, build: int, part: str) -> HttpResponse:
    """A file that a build left: bill of materials, provenance, the keys it is signed with, or its log."""
    _room, row = _find(request, project, pk)
    text = open_file(selectors.get_build(row, build), part)
    name, kind = FILES[part]
    headers = {
        "Content-Disposition": f'attachment; filename="release-{pk}-{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(text, content_type=kind, headers=headers)


def _find(request: PageRequest, project: str, pk: int) -> tuple[Project, Release]:
    room = get_project(request.actor, project, "release.view")
    return room, selectors.get_release(request.actor, room, pk)


def _sheet(request: PageRequest, room: Project, row: Release, form: DecisionForm, *, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "project": room,
        "release": row,
        "version": row.version,
        "checks": [(check, kind_of(check.key)) for check in row.version.checks.all()],
        "verdicts": {"checks": checks_verdict(row.version.checks.all()), "profile": profile_verdict(row.version)},
        "profile": row.version.profile,
        "latency": row.version.profile.get("latency_ms") or {},
        "comments": selectors.comments(request.actor, row),
        "policy": policy_of(row, request.actor),
        "form": form,
    }
    return render_page(request, "releases/release.html", context, status=status)


def _chosen(request: PageRequest, room: Project) -> dict[str, Any]:
    """The version and endpoint that the address names, e.g. ``?model=digits&version=3&endpoint=digits``."""
    chosen: dict[str, Any] = {}
    model, number = request.GET.get("model", ""), request.GET.get("version", "")
    if number.isdigit():
        ready = room.models.filter(name=model, versions__number=int(number))
        chosen["version"] = ready.values_list("versions", flat=True).first()
    found = endpoints(request.actor, room)
    if name := request.GET.get("endpoint"):
        found = found.filter(name=name)
    if len(only := found[:2]) == 1:
        chosen["endpoint"] = only[0]
    return chosen
