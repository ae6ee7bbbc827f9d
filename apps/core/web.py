"""What our middleware puts onto a page's request, for the types' sake."""

from typing import Any

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from apps.core.actors import Actor


class PageRequest(HttpRequest):
    """A request as views get it: with the actor, the htmx details and the project worked in last (or None)."""

    actor: Actor
    htmx: HtmxDetails
    last_project: Any
    user: Any
