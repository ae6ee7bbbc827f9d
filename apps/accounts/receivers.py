"""Sign-in and sign-out, as django-allauth tells of them: it has many ways in, and this signal is common to all."""

from typing import Any

from allauth.account.signals import user_logged_in, user_logged_out
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
