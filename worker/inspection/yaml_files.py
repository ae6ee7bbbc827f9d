"""Reads a small YAML file that may be hostile: no tags, no references, bounded size and depth.

An alias lets a kilobyte stand for gigabytes, and a tag lets a file name what is to be made of it. Both are refused
while the text is still a stream of events, before anything is put together; so is what is nested too deeply, since
the part that puts it together calls itself.
"""

from typing import Any

import yaml

LARGEST = 512 << 10
DEPTH = 24
EVENTS = 15_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(Exception):
    """The text is not plain YAML; says what is wrong with it."""


def read(data: bytes) -> Any:
    """What the file says, made of dictionaries, lists and plain values."""
    if len(data) > LARGEST:
        raise Unreadable("it is too long")
    try:
        text = data.decode("utf-8")
        _check_events(text)
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, OverflowError, TypeError) as error:
        raise Unreadable("it is not YAML") from error


def _check_events(text: str) -> None:
    depth = 0
    event: Any
    for count, event in enumerate(yaml.parse(text, _Loader)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Unreadable("it refers to itself")
        if getattr(event, "tag", None):
            raise Unreadable(f"it has the tag {event.tag[:60]}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH or count > EVENTS:
            raise Unreadable("it is too long or nested too deeply")
