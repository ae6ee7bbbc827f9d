"""Checks as the library knows them: their order, their names, and evidence made safe to keep.

Evidence tells of hostile files: what it quotes may hold anything, and a database takes neither NUL nor infinity.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

MAX_TEXT = 4000
MAX_ITEMS = 2000
MAX_DEPTH = 12


@dataclass(frozen=True)
class Kind:
    """How a check is shown: its name, the question it answers, and its icon."""

    title: str | Promise
    question: str | Promise
    icon: str


KINDS = {
    "content": Kind(_("Content"), _("What is it, judged by its bytes and not by its name?"), "file-search"),
    "safety": Kind(_("Safety"), _("Can it be opened without running anything of its own?"), "shield-check"),
    "sandbox": Kind(_("Sandbox"), _("What keeps it from the network, the files and the memory of others?"), "box"),
    "load": Kind(_("Load"), _("Does its library open it?"), "package-open"),
    "signature": Kind(_("Signature"), _("What goes in and what comes out?"), "arrow-right-left"),
    "predict": Kind(_("Prediction"), _("Does it answer an example?"), "sparkles"),
    "convert": Kind(_("Conversion"), _("Does a faster form give the same answers?"), "repeat-2"),
    "profile": Kind(pgettext_lazy("of a model", "Profile"), _("How large, how hungry and how fast is it?"), "gauge"),
    "examination": Kind(_("Examination"), _("Could it be examined to the end?"), "stethoscope"),
}
EXPECTED = tuple(key for key in KINDS if key != "examination")  # what every upload starts with, in this order


def kind_of(key: str) -> Kind:
    """How a check of this key is shown; one we have no name for is shown by its key."""
    return KINDS.get(key) or Kind(key, "", "circle-question-mark")


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON that any database and any page can hold: bounded, finite, without NUL and lone surrogates."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {_text(key): plain(item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return _text(value)


def whole(value: Any) -> Any:
    """``value`` as it is, or an empty mapping where no database holds it: a sample cut short asks something else."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError):
        return {}
    return {} if "\\u0000" in text else value


def _text(value: Any) -> str:
    text = str(value).replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode()[:MAX_TEXT]
