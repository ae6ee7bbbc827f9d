"""The block of YAML at the top of a model card, as model hubs write it: read with care, written back as they read it.

A card comes from anybody. The block has at most 64 KiB, 2,000 values, ten levels and no aliases, so that nothing in it
unfolds; only plain values are made of it, and dates stay texts.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from django.utils.translation import gettext as _

from apps.core.errors import Invalid

MAX_BYTES = 64 << 10
MAX_VALUES = 2000
MAX_DEPTH = 10
_BLOCK = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class PlainLoader(yaml.SafeLoader):
    """YAML's safe loader without dates: a release called 2024-05-01 is a text."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def split(card: str) -> tuple[str, str]:
    """The block's text, empty without one, and the Markdown after it."""
    found = _BLOCK.match(card)
    return (found[1], card[found.end() :]) if found else ("", card)


def read(card: str) -> dict[str, Any]:
    """What the block says; empty without one. Invalid says why it can't be read."""
    text, _body = split(card)
    if not text.strip():
        return {}
    if len(text.encode()) > MAX_BYTES:
        raise _unreadable(_("It is longer than 64 KiB."))
    try:
        _check(text)
        facts = yaml.load(text, Loader=PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(str(error)[:300]) from error
    if not isinstance(facts, dict):
        raise _unreadable(_("It holds no names with values."))
    return {str(name): value for name, value in facts.items()}


def write(facts: Mapping[str, Any], body: str) -> str:
    """A card of these facts and this Markdown."""
    if not facts:
        return body
    text = yaml.safe_dump(dict(facts), allow_unicode=True, sort_keys=False, width=1000)
    return f"---\n{text}---\n\n{body.lstrip()}"


def _check(text: str) -> None:
    """Count before anything is built."""
    depth = values = 0
    for event in yaml.parse(text, Loader=PlainLoader):
        values += isinstance(event, yaml.ScalarEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(_("It refers to parts of itself (“*%(name)s”).") % {"name": str(event.anchor)[:40]})
        if values > MAX_VALUES or depth > MAX_DEPTH:
            raise _unreadable(_("It holds too many values, or they lie too deep in each other."))


def _unreadable(reason: str) -> Invalid:
    return Invalid(
        _("The card's block of metadata can't be read: %(reason)s") % {"reason": reason},
        advice=_("Correct the YAML between the two lines “---”."),
        errors={"card": [reason]},
    )
