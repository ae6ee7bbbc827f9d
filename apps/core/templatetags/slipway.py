"""Filters that pages share: sentences of tools, short digests, sizes, permissions."""

from typing import Any

from django import template

from apps.core.actors import Actor
from apps.core.messages import say as say_message

register = template.Library()


@register.filter
def say(message: dict[str, Any] | None) -> str:
    """A tool's Message (as JSON) in the reader's language."""
    return say_message(message)


@register.filter
def short(digest: str) -> str:
    """The first 12 characters of a digest, without its algorithm."""
    return digest.removeprefix("sha256:")[:12]


@register.simple_tag
def may(actor: Actor, permission: str, project: Any = None) -> bool:
    return actor.may(permission, project)
