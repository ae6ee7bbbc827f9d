"""JSON at the API's door, strictly: what a database or a client could choke on later is refused here with a 400."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64


class StrictJSONParser(BaseParser):
    """No NaN or infinity, no duplicate names, no NUL or lone surrogate, nested at most 64 deep."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        try:
            text = stream.read().decode("utf-8")
            if _depth(text) > MAX_DEPTH:
                raise ValueError(_("nested too deeply"))
            value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
            _refuse_odd_text(value)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("Malformed JSON: %(reason)s") % {"reason": error}) from error
        return value


def _depth(text: str) -> int:
    """The deepest nesting, brackets inside strings counted too (an upper bound, in one pass)."""
    deepest = level = 0
    for char in text:
        if char in "[{":
            level += 1
            deepest = max(deepest, level)
        elif char in "]}":
            level -= 1
    return deepest


def _refuse(constant: str) -> NoReturn:
    raise ValueError(_("%(constant)s is not a number in JSON") % {"constant": constant})


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(_("%(number)s is too large") % {"number": text[:40]})
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(_("a name stands twice in one object"))
    return result


def _refuse_odd_text(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError(_("a text contains a NUL character"))
        value.encode("utf-8")  # a lone surrogate raises UnicodeEncodeError, a ValueError
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_odd_text(name)
            _refuse_odd_text(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_odd_text(item)
