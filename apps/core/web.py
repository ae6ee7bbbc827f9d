"""What our middleware and authentication put onto a request, for the types' sake."""

from typing import Any

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails
from rest_framework.request import Request

from apps.core.actors import Actor


class PageRequest(HttpRequest):
    """A request as views get it: with the actor, the htmx details and the project worked in last (or None)."""

    actor: Actor
    htmx: HtmxDetails
    last_project: Any
    user: Any


class ApiRequest(Request):
    """A call of the API as views get it."""

    actor: Actor
