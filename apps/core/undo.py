"""Toasts with a way back: the message carries a form that posts the inverse, which is a write like any other."""

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest

Fields = Iterable[tuple[str, Any]]


def say_done(request: HttpRequest, text: str, *, undo: str, fields: Fields = ()) -> None:
    """Say what was done, with a button that posts ``fields`` to the address ``undo``."""
    way = {"action": undo, "fields": [[name, str(value)] for name, value in fields]}
    messages.success(request, text, extra_tags=json.dumps(way))


def undo_of(message: Message) -> dict[str, Any] | None:
    """The way back that a message carries: ``action`` and ``fields``, or None."""
    tags = str(message.extra_tags or "")
    return json.loads(tags) if tags.startswith("{") else None
