"""Who belongs to a project, and as what. A project never loses its last administrator."""

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import Invitation, Membership, Project, User
from apps.accounts.roles import ROLES
from apps.accounts.services.invitations import invite
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, StateConflict

ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Added:
    """What became of adding somebody: a membership at once, or an invitation with its link, shown this one time."""

    membership: Membership | None = None
    invitation: Invitation | None = None
    link: str = ""


@transaction.atomic
def add_member(*, actor: Actor, project: Project, email: str, role: str) -> Added:
    """Add the person with this address; somebody unknown here is invited instead."""
    actor.require("member.manage", project)
    refuse_role(role)
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        invitation, link = invite(actor=actor, project=project, email=email, role=role)
        return Added(invitation=invitation, link=link)
    if Membership.objects.filter(project=project, user=user).exists():
        raise StateConflict(_("%(person)s is a member of this project already.") % {"person": user})
    membership = Membership.objects.create(project=project, user=user, role=role)
    record(actor, "member.added", membership, after={"person": user.email, "role": role})
    return Added(membership=membership)


@transaction.atomic
def change_role(*, actor: Actor, membership: Membership, role: str) -> Membership:
    """Give a member another role; it counts from their next request on."""
    actor.require("member.manage", membership.project)
    refuse_role(role)
    if membership.role != role:
        _keep_an_administrator(membership)
    before = {"person": membership.user.email, "role": membership.role}
    Membership.objects.filter(pk=membership.pk).update(role=role)
    membership.role = role
    record(actor, "member.role_changed", membership, before=before, after={**before, "role": role})
    return membership


@transaction.atomic
def remove_member(*, actor: Actor, membership: Membership) -> None:
    """Take somebody out of the project. What they did there stays, under their name."""
    if actor.user_id != membership.user_id or not actor.is_person:  # leaving needs no permission
        actor.require("member.manage", membership.project)
    _keep_an_administrator(membership)
    before = {"person": membership.user.email, "role": membership.role}
    record(actor, "member.removed", membership, before=before)
    membership.delete()


def refuse_role(role: str) -> None:
    """Raise Invalid unless there is such a role."""
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise Invalid(
            _("There is no role “%(role)s”.") % {"role": role},
            errors={"role": [_("Choose one of: %(known)s.") % {"known": known}]},
        )


def _keep_an_administrator(membership: Membership) -> None:
    """Refuse to take the role from the last one. Locks the project, so that two cannot leave at the same moment."""
    Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)
    others = Membership.objects.filter(project=membership.project_id, role=ADMINISTRATOR).exclude(pk=membership.pk)
    if membership.role == ADMINISTRATOR and not others.exists():
        raise StateConflict(
            _("%(person)s is the last administrator of this project.") % {"person": membership.user},
            advice=_("Make somebody else an administrator first."),
        )
