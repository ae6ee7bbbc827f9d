"""Tags and filters that pages share: states, sentences of tools, short digests, times, fields, the rail's links."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from django import template
from django.contrib.messages.storage.base import Message
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.forms.boundfield import BoundWidget
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from lucide.templatetags.lucide import lucide as draw_icon

from apps.core.actors import Actor
from apps.core.looks import Look, look_of
from apps.core.messages import say as say_message
from apps.core.undo import undo_of as find_undo

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


@register.simple_tag
def undo_of(message: Message) -> dict[str, Any] | None:
    """The way back that a toast offers, if any; see ``apps.core.undo``."""
    return find_undo(message)


@register.simple_tag
def look(state: Any, kind: str = "") -> Look:
    """Word, tone and icon of a state, for ``<c-state>``."""
    return look_of(str(state or ""), kind)


@register.simple_tag
def lucide(name: str, size: int = 24, **attributes: object) -> SafeString:
    """An icon as inline SVG, drawn once: Lucide's own tag parses and copies its XML at every use (2 ms a list row)."""
    return _icon(str(name), size, tuple(sorted(attributes.items())))


@lru_cache(maxsize=1024)
def _icon(name: str, size: int, attributes: tuple[tuple[str, object], ...]) -> SafeString:
    return SafeString(draw_icon(name, size=size, **{key: f"{value}" for key, value in attributes}))


@register.filter
def iso(at: datetime) -> str:
    """RFC 3339 in UTC to the millisecond, what ``<time datetime>`` and scripts read."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@register.filter
def relative(at: datetime) -> str:
    """“3 minutes ago”, “in 2 months”, in one unit: the largest that fits."""
    seconds = (timezone.now() - at).total_seconds()
    if abs(seconds) < 45:
        return _("now")
    if seconds > 0:
        return _("%(delta)s ago") % {"delta": timesince(at, depth=1)}
    nearest = at + timedelta(hours=12) if seconds < -86400 else at  # a week to go is 7 days from its first second on
    return _("in %(delta)s") % {"delta": timeuntil(nearest, depth=1)}


@register.filter
def initials(name: Any) -> str:
    """Up to two letters for a round picture: “Ada Lovelace” → AL."""
    words = str(name or "?").replace("@", " ").split()
    return "".join(word[0] for word in words[:2]).upper()


@register.filter
def browser(user_agent: str) -> str:
    """“Firefox · Linux” out of a browser's long self-description, or its beginning."""
    programs = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
    systems = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
    names = {"Edg": "Edge", "OPR": "Opera", "Mac OS X": "macOS"}
    found = [next((name for name in known if name in user_agent), "") for known in (programs, systems)]
    return " · ".join(names.get(name, name) for name in found if name) or user_agent[:40]


@register.filter
def duration(seconds: float | None) -> str:
    """A stretch of time in the unit that suits it: 850 µs, 12 ms, 1.2 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@register.filter
def styled(field: BoundField) -> SafeString:
    """A form field's widget in the product's clothes, wired to its help and its errors for screen readers."""
    widget = field.field.widget
    attrs: dict[str, Any] = {"class": _widget_class(widget, bool(field.errors))}
    if field.errors:
        attrs |= {"aria-invalid": "true"}
    if field.errors or field.help_text:
        attrs["aria-describedby"] = f"{field.auto_id}_about"
    return field.as_widget(attrs={**widget.attrs, **attrs})


@register.filter
def options(field: BoundField) -> list[BoundWidget]:
    """The single boxes or radios of a group, each to be laid out with its own label."""
    field.field.widget.attrs["class"] = "form-check-input"  # of this form alone: fields are copied for each
    return field.subwidgets


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def is_optional(field: BoundField) -> bool:
    """Whether to say so: a choice shows by itself that it may stay empty, and some fields depend on others."""
    is_free = not field.field.required and not getattr(field.field, "is_conditional", False)
    return is_free and not isinstance(field.field.widget, Select)


@register.filter
def is_group(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxSelectMultiple | RadioSelect)


@register.simple_tag
def url_if_any(name: str, *args: Any, **kwargs: Any) -> str:
    """The address of a named page, or nothing where that page does not exist in this installation."""
    try:
        return reverse(name, args=args, kwargs=kwargs)
    except NoReverseMatch:
        return ""


@register.simple_tag
def request_id() -> str:
    """The id of the request being answered, as it stands in the logs."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


@register.inclusion_tag("parts/_rail_link.html", takes_context=True)
def rail_link(
    context: template.Context,
    name: str,
    icon: str,
    label: str,
    permission: str,
    project: Any,
    badge: str = "",
    also: str = "",
) -> dict[str, Any]:
    """One entry of the left rail; nothing when the role may not see it or the page does not exist.

    ``badge`` is the id of its counter, ``also`` a namespace whose pages belong under it, too.
    """
    actor, request = context.get("actor"), context.get("request")
    href = url_if_any(name, project=project.slug) if project and actor and actor.may(permission, project) else ""
    return {"href": href, "icon": icon, "label": label, "badge": badge, "is_here": _is_here(request, href, name, also)}


def _is_here(request: Any, href: str, name: str, also: str) -> bool:
    if not href or request is None:
        return False
    match = getattr(request, "resolver_match", None)
    if match is not None and (match.view_name == name or (also and match.namespace == also)):
        return True
    is_front_page = name.endswith(":overview")
    return not is_front_page and request.path.startswith(href)


def _widget_class(widget: Any, is_invalid: bool) -> str:
    if isinstance(widget, CheckboxInput):
        kind = "form-check-input"
    else:
        kind = "form-select" if isinstance(widget, Select) else "form-control"
    own = widget.attrs.get("class", "")
    return " ".join(filter(None, [kind, own, "is-invalid" if is_invalid else ""]))
