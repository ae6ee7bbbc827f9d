"""Sign-in and sign-out, as django-allauth tells of them: it has many ways in, and this signal is common to all."""

import time
from typing import Any

from allauth.account.signals import authentication_step_completed, user_logged_in, user_logged_out
from django.contrib.auth.signals import user_logged_in as session_begun
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.adapters import note
from apps.accounts.middleware import BEGUN_KEY, LANGUAGE_KEY, PROVEN_KEY, USED_KEY
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


@receiver(session_begun)
def note_beginning(sender: Any, request: HttpRequest, **_: Any) -> None:
    request.session[BEGUN_KEY] = request.session[USED_KEY] = time.time()


@receiver(session_begun)
@receiver(authentication_step_completed)
def note_proof(sender: Any, request: HttpRequest, **_: Any) -> None:
    """Remember when a password or a code was last given in this session: an approval asks for a recent one."""
    request.session[PROVEN_KEY] = time.time()
