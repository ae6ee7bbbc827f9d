"""What every page needs to know of the person asking: who acts, and in which language."""

from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apps.accounts.actors import actor_for_user
from apps.accounts.models import User
from apps.core.actors import Actor

SEEN_EVERY_SECONDS = 300


class LanguageMiddleware(LocaleMiddleware):
    """Django's own choice by cookie and browser; a person's saved choice sets the cookie when it is made."""


class ActorMiddleware:
    """``request.actor`` for signed-in people, built when first asked for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: _actor_of(request))  # type: ignore[attr-defined]
        return self.get_response(request)


def _actor_of(request: HttpRequest) -> Actor:
    user = request.user
    if not isinstance(user, User) and not user.is_authenticated:
        return Actor(kind="nobody", id=0, label="")
    _note_seen(user)
    return actor_for_user(user, request_id=request_id(), ip=client_ip(request))


def _note_seen(user: User) -> None:
    now = timezone.now()
    if user.last_seen is None or (now - user.last_seen).total_seconds() > SEEN_EVERY_SECONDS:
        User.objects.filter(pk=user.pk).update(last_seen=now)


def request_id() -> str:
    """The id of the request being answered, as it stands in the logs."""
    return structlog.contextvars.get_contextvars().get("request_id", "")


def client_ip(request: HttpRequest) -> str:
    """The client's address; behind N trusted proxies, the N-th from the right of X-Forwarded-For."""
    count = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if count and len(forwarded) >= count:
        return forwarded[-count]
    return request.META.get("REMOTE_ADDR", "")
