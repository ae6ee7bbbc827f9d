"""Steps of a span, told by the database."""

from typing import Any

from django.db import models

from apps.monitoring.spans import Span


class StepOf(models.Func):
    """The number of the step of a span that a time falls into, worked out by the database."""

    output_field = models.IntegerField()

    def __init__(self, column: str, span: Span) -> None:
        self._start, self._step = int(span.start.timestamp()), int(span.step)
        super().__init__(models.F(column))

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        template = f"CAST(FLOOR((EXTRACT(EPOCH FROM %(expressions)s) - {self._start}) / {self._step}) AS INTEGER)"
        return super().as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = f"((CAST(strftime('%%%%s', %(expressions)s) AS INTEGER) - {self._start}) / {self._step})"
        return super().as_sql(compiler, connection, template=template, **extra)
