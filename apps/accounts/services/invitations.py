"""One-time links: the first administrator's, and those that new people join by. Only digests of them are kept."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.actors import actor_for_user
from apps.accounts.models import Invitation, Membership, Project, User
from apps.audit.services import record
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Invalid, Missing, NotAllowed, StateConflict

SETUP_LASTS = timedelta(days=1)
INVITATION_LASTS = timedelta(days=7)


@transaction.atomic
def create_setup_link() -> str | None:
    """The address where the first administrator is made, good once and for a day; None when there are people already.

    Making one voids the one before.
    """
    if User.objects.exists():
        return None
    Invitation.objects.filter(project=None, used_at=None).delete()
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(digest=_digest(token), expires_at=timezone.now() + SETUP_LASTS)
    record(SYSTEM, "setup.link_made", invitation)
    return f"{settings.SLIPWAY_WEB_URL}/setup/{token}/"


@transaction.atomic
def set_up(*, token: str, email: str, name: str, password: str) -> User:
    """Make the first administrator, who administers the whole installation."""
    invitation = find_setup(token)
    user = _create_user(email=email, name=name, password=password, is_superuser=True)
    _use(invitation)
    record(actor_for_user(user), "setup.completed", user, after={"email": user.email})
    return user


@transaction.atomic
def invite(*, actor: Actor, project: Project, email: str, role: str) -> tuple[Invitation, str]:
    """Invite somebody who has no account here; returns the invitation and its link, which is not kept.

    Inviting the same address again voids the link before.
    """
    actor.require("member.manage", project)
    email = _clean_email(email)
    Invitation.objects.filter(project=project, email=email, used_at=None).delete()
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        digest=_digest(token),
        project=project,
        email=email,
        role=role,
        invited_by_id=actor.user_id,
        expires_at=timezone.now() + INVITATION_LASTS,
    )
    record(actor, "member.invited", invitation, after={"person": email, "role": role})
    return invitation, f"{settings.SLIPWAY_WEB_URL}/invitations/{token}/"


@transaction.atomic
def withdraw_invitation(*, actor: Actor, invitation: Invitation) -> None:
    """Void an invitation that nobody has used yet."""
    actor.require("member.manage", invitation.project)
    if invitation.used_at:
        raise StateConflict(_("%(email)s has joined already.") % {"email": invitation.email})
    record(actor, "invitation.withdrawn", invitation, before={"person": invitation.email, "role": invitation.role})
    invitation.delete()


@transaction.atomic
def accept_invitation(*, token: str, name: str, password: str) -> User:
    """Make an account for the invited address, with the role it was invited to."""
    invitation = find_invitation(token)
    user = _create_user(email=invitation.email, name=name, password=password)
    _join(invitation, user)
    return user


@transaction.atomic
def join(*, actor: Actor, token: str) -> Membership:
    """Accept an invitation with the account that is signed in; it must be the invited address's."""
    invitation = find_invitation(token)
    user = User.objects.get(pk=actor.user_id)
    if user.email.lower() != invitation.email.lower():
        raise NotAllowed(
            _("This invitation is for %(email)s.") % {"email": invitation.email},
            advice=_("Sign out and open the link again."),
        )
    return _join(invitation, user)


def find_setup(token: str) -> Invitation:
    """The set-up link behind a token while nobody has used it; Missing otherwise."""
    return _find(token, is_setup=True)


def find_invitation(token: str) -> Invitation:
    """The open invitation behind a token; Missing when it is unknown, used, withdrawn or too old."""
    return _find(token, is_setup=False)


def _find(token: str, *, is_setup: bool) -> Invitation:
    rows = Invitation.objects.select_related("project", "invited_by")
    found = rows.filter(digest=_digest(token), used_at=None, expires_at__gt=timezone.now(), project__isnull=is_setup)
    invitation = found.first()
    if invitation is None or (is_setup and User.objects.exists()):
        raise Missing(
            _("This link does not work any more."),
            advice=_("It works once, and for a limited time. Ask for a new one; restarting the server prints one.")
            if is_setup
            else _("It works once, and for a week. Ask the person who invited you for a new one."),
        )
    return invitation


def _join(invitation: Invitation, user: User) -> Membership:
    assert invitation.project is not None  # the first administrator's link, which has none, is used elsewhere
    if Membership.objects.filter(project=invitation.project, user=user).exists():
        raise StateConflict(_("You are a member of this project already."))
    _use(invitation)
    membership = Membership.objects.create(project=invitation.project, user=user, role=invitation.role)
    after = {"person": user.email, "role": invitation.role, "invited_by": str(invitation.invited_by or "")}
    record(actor_for_user(user), "invitation.accepted", membership, after=after)
    return membership


def _use(invitation: Invitation) -> None:
    if not Invitation.objects.filter(pk=invitation.pk, used_at=None).update(used_at=timezone.now()):
        raise StateConflict(_("This link has just been used."))


def _create_user(*, email: str, name: str, password: str, is_superuser: bool = False) -> User:
    email = _clean_email(email)
    if User.objects.filter(email__iexact=email).exists():
        raise StateConflict(
            _("There is an account for %(email)s already.") % {"email": email},
            advice=_("Sign in with it, then open the link again."),
        )
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        raise Invalid(_("This password is too easy to guess."), errors={"password": error.messages}) from error
    return User.objects.create_user(email, password, name=name.strip() or email, is_superuser=is_superuser)


def _clean_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid(
            _("“%(email)s” is no e-mail address.") % {"email": email}, errors={"email": error.messages}
        ) from error
    return email


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
