"""JSON at the API's door, strictly: what a database or a client could choke on later is refused here with a 400."""

import json
import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from apps.core.bodies import require_size

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
_ODD_TEXT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # how JSON must write NUL and surrogates: rare, and quick to find


class StrictJSONParser(BaseParser):
    """No NaN or infinity, no duplicate names, no NUL or lone surrogate, nested at most 64 deep, at most 10⁶ values."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        data = stream.read(settings.SLIPWAY_BODY_MAX_BYTES + 1)  # one that is sent without its length ends here
        require_size(len(data))
        try:
            text = data.decode("utf-8")
            _refuse_many(text)
            value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
            _refuse_deep(value)
            if _ODD_TEXT.search(text):
                _refuse_odd_text(value)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("Malformed JSON: %(reason)s") % {"reason": error}) from error
        return value


def _refuse_many(text: str) -> None:
    """Bound what reading costs; commas inside strings are counted too (an upper bound)."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise ValueError(_("more than %(limit)d values") % {"limit": MAX_VALUES})


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _depth in range(MAX_DEPTH):
        level = [item for holder in level for item in _inside(holder)]
    if any(isinstance(item, dict | list) for item in level):
        raise ValueError(_("nested too deeply"))


def _inside(holder: Any) -> Any:
    return holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ()


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
