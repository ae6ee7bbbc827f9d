"""Queries that are put into SQL once and then only run: for what nearly every request reads.

Composing a query and compiling it takes Django several times what SQLite or PostgreSQL takes to answer by an index. A
query whose shape never changes need not be composed anew::

    BY_SLUG = Prepared(lambda slug: Project.objects.filter(slug=slug).order_by(), slug="")

    project = BY_SLUG.first(slug="demo")

The samples say of which type each value is. Values are bound as parameters; they must be plain texts and numbers, and
fit their column, since no field looks at them any more.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections, router
from django.db.models import QuerySet
from django.db.models.query import ModelIterable, get_related_populators

MAX_INT = 2**31 - 1  # what any integer column takes


class Prepared:
    """One query, compiled anew only for another connection: each thread has its own."""

    def __init__(self, build: Callable[..., QuerySet[Any]], **samples: Any) -> None:
        self._build, self._samples = build, samples
        self._kept = threading.local()

    def all(self, **values: Any) -> list[Any]:
        """Rows as the queryset gives them: objects with what was selected along, or tuples of ``values_list``."""
        plan = self._plan()
        return plan.run(values)

    def first(self, **values: Any) -> Any:
        """The first row, or None."""
        return next(iter(self.all(**values)), None)

    def _plan(self) -> "_Plan":
        plan: _Plan | None = getattr(self._kept, "plan", None)
        if plan is None or not plan.is_current():
            plan = self._kept.plan = _Plan(self._build, self._samples)
        return plan


class _Plan:
    """The SQL, where in its parameters which value goes, and how its rows become what is wanted."""

    def __init__(self, build: Callable[..., QuerySet[Any]], samples: Mapping[str, Any]) -> None:
        marks = {_mark(sample, number): name for number, (name, sample) in enumerate(samples.items())}
        rows = build(**{name: mark for mark, name in marks.items()})
        self.alias = router.db_for_read(rows.model)
        self.connection = connections[self.alias]
        self.compiler = rows.query.get_compiler(self.alias)
        self.sql, params = self.compiler.as_sql()
        self.params = [(marks.get(param) if isinstance(param, str | int) else None, param) for param in params]
        self.select = self.compiler.select[: self.compiler.col_count]
        self.converters = self.compiler.get_converters([column[0] for column in self.select])
        self.make = self._maker() if rows._iterable_class is ModelIterable else tuple  # type: ignore[attr-defined]

    def is_current(self) -> bool:
        return connections[self.alias] is self.connection

    def run(self, values: Mapping[str, Any]) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(self.sql, [values[name] if name else constant for name, constant in self.params])
            rows = cursor.fetchall()
        if self.converters:
            rows = self.compiler.apply_converters(rows, self.converters)
        return list(map(self.make, rows))

    def _maker(self) -> Callable[[Any], Any]:
        """How a row becomes an object, as Django's own ModelIterable does it."""
        info = self.compiler.klass_info
        first, end = info["select_fields"][0], info["select_fields"][-1] + 1
        names = [column[0].target.attname for column in self.compiler.select[first:end]]
        populators = get_related_populators(info, self.compiler.select, self.alias)  # type: ignore[call-arg]  # of Django 6

        def make(row: Any) -> Any:
            made = info["model"].from_db(self.alias, names, row[first:end])
            for populator in populators:
                populator.populate(row, made)
            return made

        return make


def _mark(sample: Any, number: int) -> Any:
    """A value of the sample's type that stands for one to come and that no query holds by itself."""
    return MAX_INT - 1 - number if isinstance(sample, int) else f"\ue000{number}\ue001"
