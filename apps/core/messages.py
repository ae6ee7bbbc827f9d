"""Sentences that tools wrote in English with named parts, said in the reader's language."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext


def say(message: Mapping[str, Any] | None) -> str:
    """``{"text": "Saved with %(library)s", "params": {"library": "skops"}}`` → a translated sentence."""
    if not message:
        return ""
    text = gettext(message["text"]) if message["text"] else ""
    params = message.get("params") or {}
    return text % params if params else text
