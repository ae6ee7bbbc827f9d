"""Which names files, models and tags may have. Plain rules, the same on pages, in the API and in the tests."""

import re
from collections.abc import Iterable

from django.utils.translation import gettext as _

from apps.core.errors import Invalid

MAX_PARTS = 8
MAX_LENGTH = 255
MAX_TAGS = 20

_PART = re.compile(r"[A-Za-z0-9._-]{1,128}")
MODEL_PATTERN = r"[a-z0-9][a-z0-9_\-]{0,63}"  # browsers check it too, and want the hyphen escaped
_MODEL = re.compile(MODEL_PATTERN)
_TAG = re.compile(r"[^\W_][\w.:/-]{0,39}")


def check_file_name(name: str) -> str:
    """The name, if it is a plain relative one; Invalid says what is wrong with it.

    Up to eight parts of letters, digits, dot, dash and underscore: nothing that climbs out of a folder, hides, or is
    read differently on another system.
    """
    parts = name.split("/")
    fine = all(_PART.fullmatch(part) and not part.startswith(".") and not part.endswith(".") for part in parts)
    if fine and len(parts) <= MAX_PARTS and len(name) <= MAX_LENGTH:
        return name
    raise Invalid(
        _("“%(name)s” cannot be the name of a file here.") % {"name": name[:80]},
        advice=_("Use letters, digits, dots, dashes and underscores; no spaces, and no dot at either end."),
        errors={"filename": [_("This name is not allowed.")]},
    )


def check_distinct(names: Iterable[str]) -> None:
    """Invalid when two names are the same on a system that ignores case."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise Invalid(
                _("Two files are called “%(name)s”.") % {"name": name},
                advice=_("Rename one of them; upper and lower case make no difference."),
            )
        seen.add(name.casefold())


def check_model_name(name: str) -> str:
    """The name, if it can stand in an address; Invalid otherwise."""
    if _MODEL.fullmatch(name):
        return name
    raise Invalid(
        _("“%(name)s” cannot be the name of a model.") % {"name": name[:80]},
        advice=_("Use up to 64 lower-case letters, digits, dashes and underscores, e.g. “fraud-detector”."),
        errors={"name": [_("Lower-case letters, digits, dashes and underscores only.")]},
    )


def check_tags(tags: Iterable[str]) -> list[str]:
    """The tags in lower case, each once and in order; Invalid names the first one that cannot be."""
    cleaned = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    for tag in cleaned:
        if not _TAG.fullmatch(tag):
            raise Invalid(
                _("“%(tag)s” cannot be a tag.") % {"tag": tag[:80]},
                advice=_("Use up to 40 letters, digits, dots, colons, slashes and dashes, without spaces."),
                errors={"tags": [_("This tag is not allowed.")]},
            )
    if len(cleaned) > MAX_TAGS:
        raise Invalid(_("A model can have at most %(limit)d tags.") % {"limit": MAX_TAGS})
    return cleaned
