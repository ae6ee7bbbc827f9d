"""What django-allauth tells of: sign-in, sign-out and second factors. Its signals are the one way to hear of them."""

from typing import Any

from allauth.account.signals import user_logged_in, user_logged_out
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.adapters import note
from apps.accounts.middleware import LANGUAGE_KEY
from apps.accounts.models import User


@receiver(user_logged_in)
def note_sign_in(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    if user.language:
        request.session[LANGUAGE_KEY] = user.language
    note(request, user, "session.started")


@receiver(user_logged_out)
def note_sign_out(sender: Any, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        note(request, user, "session.ended")


@receiver(authenticator_added)
def note_factor_added(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:  # recovery codes come along with it
        note(request, user, "second_factor.added", kind=str(authenticator.type))


@receiver(authenticator_removed)
def note_factor_removed(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        note(request, user, "second_factor.removed", kind=str(authenticator.type))


@receiver(authenticator_reset)
def note_codes_renewed(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    note(request, user, "recovery_codes.renewed")
