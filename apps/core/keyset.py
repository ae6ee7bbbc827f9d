"""Long lists a page at a time by the last row seen, never by an offset: the end costs what the beginning does.

A cursor is opaque to whoever carries it: the direction, how many rows the whole list had when its first page was read
(so that no further page counts again), and the values that its ordering had at the edge of the page. New rows neither
repeat nor hide any other.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.core.errors import Invalid

AFTER, BEFORE = "after", "before"
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Slice:
    """One page of a list, the cursors of its neighbours (empty at the ends), and how many rows there are in all."""

    rows: list[Any]
    next: str
    previous: str
    count: int


class Place(NamedTuple):
    """Where a page begins or ends: ``side`` of the row whose ordering had these ``values``, among ``total`` rows."""

    side: str
    total: int
    values: Key


def cut(rows: QuerySet[Any], cursor: str, size: int, count: Callable[[], int] | None = None) -> Slice:
    """The page of ``rows`` at ``cursor`` ("" for the first). Their ordering must end in something unique.

    ``count`` says how many rows there are where somebody knows it already. Invalid for a cursor that is not ours.
    """
    ordering = [str(name) for name in rows.query.order_by]
    place = read_cursor(cursor, len(ordering)) if cursor else None
    if place is None:
        found = list(rows[: size + 1])
        return _sliced(found, None, size, (count or rows.count)(), lambda row: key_of(row, ordering))
    back = place.side == BEFORE
    turned = [_turned(name) for name in ordering] if back else ordering
    try:
        found = list(rows.order_by(*turned).filter(_beyond(turned, place.values))[: size + 1])
    except (ValueError, TypeError, ValidationError) as error:
        raise _damaged() from error
    return _sliced(found, place, size, place.total, lambda row: key_of(row, ordering))


def cut_list(rows: Sequence[Any], cursor: str, size: int, key: Callable[[Any], Key]) -> Slice:
    """The same for rows in hand, sorted ascending by ``key``, whose parts are numbers and texts."""
    if not cursor:
        return _sliced(list(rows[: size + 1]), None, size, len(rows), key)
    place = read_cursor(cursor, len(key(rows[0])) if rows else None)
    try:
        after = [row for row in rows if key(row) > place.values]
        before = [row for row in reversed(rows) if key(row) < place.values]
    except TypeError as error:
        raise _damaged() from error
    found = before if place.side == BEFORE else after
    return _sliced(found[: size + 1], place, size, len(rows), key)


def key_of(row: Any, ordering: Sequence[str]) -> Key:
    """What an ordering compares, of a row or of its values as a mapping."""
    names = [name.lstrip("-") for name in ordering]
    if isinstance(row, dict):
        return tuple(row[name] for name in names)
    return tuple(reduce(getattr, name.split("__"), row) for name in names)


def write_cursor(place: Place) -> str:
    text = json.dumps(place, default=str, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_cursor(text: str, length: int | None) -> Place:
    """The place that a cursor names, with ``length`` values; Invalid for anything else."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        side, count, values = json.loads(raw)
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise _damaged() from error
    fine = side in (AFTER, BEFORE) and isinstance(count, int) and isinstance(values, list)
    if not fine or (length is not None and len(values) != length) or not all(map(_is_plain, values)):
        raise _damaged()
    return Place(side, count, tuple(values))


def _sliced(found: list[Any], place: Place | None, size: int, count: int, key: Callable[[Any], Key]) -> Slice:
    """``found`` reaches one row beyond the page when there is more in the direction that was read."""
    back = place is not None and place.side == BEFORE
    has_more, page = len(found) > size, found[:size]
    if back:
        page.reverse()
    has_next, has_previous = has_more or back, (has_more if back else place is not None)
    if not page:
        return Slice([], "", "", count)
    return Slice(
        page,
        write_cursor(Place(AFTER, count, key(page[-1]))) if has_next else "",
        write_cursor(Place(BEFORE, count, key(page[0]))) if has_previous else "",
        count,
    )


def _beyond(ordering: Sequence[str], values: Key) -> Q:
    """Rows that come after these values; the first bound stands alone, too, where an index can use it."""
    beyond, same = Q(), Q()
    for name, value in zip(ordering, values, strict=True):
        path, comparison = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        beyond |= same & Q(**{f"{path}__{comparison}": value})
        same &= Q(**{path: value})
    first = ordering[0]
    return Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": values[0]}) & beyond


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _damaged() -> Invalid:
    return Invalid(_("This is not the address of a page of this list."), advice=_("Begin at its first page."))
