"""How the library's pages write shapes, figures, file names and deeds."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.library.completeness import check_card
from apps.library.facts import FACTS
from apps.library.models import ModelVersion

register = template.Library()

MAX_LISTED = 20
DEEDS = {
    "version.uploaded": _("Uploaded"),
    "version.examination_begun": _("Examination begun"),
    "version.examination_failed": _("Examination interrupted, to be tried again"),
    "version.accepted": _("Examined and accepted"),
    "version.refused": _("Examined and refused"),
    "version.retired": _("Retired"),
    "version.restored": _("Brought back into use"),
    "version.card_edited": _("Card edited"),
}


@register.filter
def deed(action: str) -> str | Promise:
    """An audit action as words; one that is not ours is shown as it is."""
    return DEEDS.get(action, action)


@register.filter
def words(name: str) -> str | Promise:
    """``max_abs_diff`` → “largest difference”; a name that is not ours in its own words."""
    return FACTS.get(name) or str(name).replace("_", " ")


@register.filter
def shape(sizes: Sequence[int]) -> str:
    """``[-1, 64]`` → “n × 64”: a free dimension is any number of rows."""
    return " × ".join("n" if size < 0 else str(size) for size in sizes) or "–"


@register.filter
def figure(number: float) -> str:
    """Three significant digits, without an exponent for what people read in milliseconds."""
    return (
        f"{number:.3g}" if 0.001 <= abs(number) < 1000 else f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.1e}"
    )


@register.filter
def as_text(value: Any) -> str:
    """A piece of evidence as text: lists by commas, shortened; small and large numbers to three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        listed = ", ".join(as_text(item) for item in value[:MAX_LISTED])
        return f"{listed}, … (+{len(value) - MAX_LISTED})" if len(value) > MAX_LISTED else listed
    if isinstance(value, dict):
        return ", ".join(f"{key}: {as_text(item)}" for key, item in value.items())
    return str(value)


@register.inclusion_tag("library/_card_parts.html")
def card_checklist(version: ModelVersion) -> dict[str, Any]:
    """What reviewers look for in a card, and what of it this one says."""
    return {"parts": check_card(version.card)}
