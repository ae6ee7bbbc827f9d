"""What every page needs to know of the person asking: who acts, and in which language."""

import time
from collections.abc import Callable
from http import HTTPStatus

import structlog
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject

from apps.accounts.actors import actor_for_user
from apps.accounts.models import Project, User
from apps.accounts.selectors import last_project
from apps.core.actors import Actor

SEEN_EVERY_SECONDS = 300
LANGUAGE_KEY = "language"
PROJECT_KEY = "project"
PROVEN_KEY = "proven_at"
BEGUN_KEY = "begun_at"
USED_KEY = "used_at"
USED_EVERY_SECONDS = 60  # a write at every request would queue up readers


class LanguageMiddleware(LocaleMiddleware):
    """A person's saved language, kept in their session, before Django's own choice by cookie and browser."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        saved = request.session.get(LANGUAGE_KEY)
        if saved in dict(settings.LANGUAGES):
            translation.activate(saved)
            request.LANGUAGE_CODE = translation.get_language()


class SessionLimitsMiddleware:
    """End a session that nobody used for long, or that is as old as one may be however it is used.

    A page that asks again by itself says so (``X-Poll``, see ``frame.js``) and keeps nobody signed in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session, now = request.session, time.time()
        if SESSION_KEY in session:
            idle, age = now - session.get(USED_KEY, now), now - session.get(BEGUN_KEY, now)
            if idle > settings.SLIPWAY_SESSION_IDLE_SECONDS or age > settings.SESSION_COOKIE_AGE:
                session.flush()
            elif idle > USED_EVERY_SECONDS and "X-Poll" not in request.headers:
                session[USED_KEY] = now
        return self.get_response(request)


class ActorMiddleware:
    """``request.actor``, and ``request.last_project`` for pages of no project, each built when first asked for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: _actor_of(request))  # type: ignore[attr-defined]
        request.last_project = SimpleLazyObject(lambda: _last_project_of(request))  # type: ignore[attr-defined]
        response = self.get_response(request)
        _note_project(request, response)
        return response


def _last_project_of(request: HttpRequest) -> Project | None:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return last_project(actor, request.session.get(PROJECT_KEY)) if actor.is_person else None


def _note_project(request: HttpRequest, response: HttpResponse) -> None:
    """Remember the project whose page was answered, so that the next visit begins there."""
    match = request.resolver_match
    slug = match.kwargs.get("project") if match and not match.namespace.endswith("_api") else None
    if slug and response.status_code == HTTPStatus.OK and request.session.get(PROJECT_KEY) != slug:
        request.session[PROJECT_KEY] = slug


def _actor_of(request: HttpRequest) -> Actor:
    user = request.user
    if not isinstance(user, User) and not user.is_authenticated:
        return Actor(kind="nobody", id=0, label="")
    _note_seen(request, user)
    return actor_of_session(request, user)


def actor_of_session(request: HttpRequest, user: User) -> Actor:
    """The person signed in, and whether they proved who they are lately enough (``Actor.fresh``)."""
    proven = time.time() - request.session.get(PROVEN_KEY, 0)
    fresh = proven < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    return actor_for_user(user, fresh=fresh, request_id=request_id(), ip=client_ip(request))


def _note_seen(request: HttpRequest, user: User) -> None:
    """Note the person and their session as seen, now and then: a write at every request would queue up readers."""
    now = timezone.now()
    if user.last_seen is None or (now - user.last_seen).total_seconds() > SEEN_EVERY_SECONDS:
        User.objects.filter(pk=user.pk).update(last_seen=now)
        UserSession.objects.create_from_request(request)


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
