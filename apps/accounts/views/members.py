"""Who is in the project, as what, and who is invited."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.accounts import services as accounts
from apps.accounts.forms import MemberForm, RoleForm
from apps.accounts.models import Project
from apps.accounts.roles import DESCRIPTIONS, ROLES
from apps.accounts.selectors import get_invitation, get_member, get_project, open_invitations
from apps.accounts.selectors import members as members_of
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.web import PageRequest


@never_cache
def members(request: PageRequest, project: str) -> HttpResponse:
    """The list; a POST adds somebody, and shows the invitation's link if it takes one."""
    found = get_project(request.actor, project)
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            added = accounts.add_member(actor=request.actor, project=found, **form.cleaned_data)
            if added.link:
                return _show(request, found, MemberForm(), invited=added.invitation, link=added.link)
            messages.success(request, _("%(person)s is a member now.") % {"person": added.membership.user})  # type: ignore[union-attr]
            return redirect("accounts:members", project)
    return _show(request, found, form)


@require_POST
def member_role(request: PageRequest, project: str, pk: int) -> HttpResponse:
    found = get_project(request.actor, project, "member.manage")
    form = RoleForm(request.POST)
    member = get_member(request.actor, found, pk)
    accounts.change_role(actor=request.actor, membership=member, role=form.data.get("role", ""))
    said = _("%(person)s is %(role)s now.") % {"person": member.user, "role": member.role_name}
    messages.success(request, said)
    return redirect("accounts:members", project)


@require_POST
def member_remove(request: PageRequest, project: str, pk: int) -> HttpResponse:
    found = get_project(request.actor, project)
    member = get_member(request.actor, found, pk)
    accounts.remove_member(actor=request.actor, membership=member)
    messages.success(request, _("%(person)s is no member of this project any more.") % {"person": member.user})
    is_self = member.user_id == request.user.pk and not request.user.is_superuser
    return redirect("site:home") if is_self else redirect("accounts:members", project)


@require_POST
def invitation_withdraw(request: PageRequest, project: str, pk: int) -> HttpResponse:
    found = get_project(request.actor, project, "member.manage")
    invitation = get_invitation(request.actor, found, pk)
    accounts.withdraw_invitation(actor=request.actor, invitation=invitation)
    messages.success(request, _("The invitation of %(email)s is withdrawn.") % {"email": invitation.email})
    return redirect("accounts:members", project)


def _show(request: PageRequest, project: Project, form: MemberForm, **shown: object) -> HttpResponse:
    context = {
        "project": project,
        "members": members_of(request.actor, project),
        "invitations": open_invitations(request.actor, project),
        "roles": [(key, name, DESCRIPTIONS[key]) for key, name in ROLES.items()],
        "form": form,
        **shown,
    }
    return render_page(request, "accounts/members.html", context, status=422 if form.errors else 200)
