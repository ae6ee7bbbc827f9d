"""States as one column and one table of legal moves; every move is one compare-and-set ``UPDATE``."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import StateConflict
from apps.core.looks import look_of

Moves = Mapping[str, frozenset[str]]
Row = TypeVar("Row", bound=Model)


def advance(row: Row, to: str, *, column: str = "state", **facts: Any) -> Row:
    """Move ``row`` to the state ``to`` and write ``facts`` with it, or raise StateConflict.

    The model names its legal moves in ``MOVES`` (from → set of to). The row in hand may be stale: the database decides,
    by comparing the state it was read in. ``QuerySet.update`` skips ``auto_now``, so ``updated_at`` is set here.
    """
    now_at = getattr(row, column)
    if to not in row.MOVES.get(now_at, frozenset()):  # type: ignore[attr-defined]
        said = {"state": look_of(now_at).word, "to": look_of(to).word}
        raise StateConflict(_("This is %(state)s and cannot become %(to)s.") % said)
    values = {column: to, **facts}
    if any(f.name == "updated_at" for f in row._meta.concrete_fields):
        values["updated_at"] = timezone.now()
    if not type(row)._default_manager.filter(pk=row.pk, **{column: now_at}).update(**values):
        raise StateConflict(_("Somebody else changed this in the meantime. Look again before you decide."))
    for name, value in values.items():
        setattr(row, name, value)
    return row
