"""What the API's lists are filtered and ordered by: each ``FilterSet`` names its own words."""

from typing import Any

import django_filters
from django.db.models import QuerySet


class Ordering(django_filters.OrderingFilter):
    """``?ordering=`` by the words of ``{column: word}``; ``-`` before a word turns it round, commas join several.

    What is alike in all that was asked for stands newest first, so that no page repeats or hides a row.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields=fields)

    def filter(self, rows: QuerySet[Any], words: list[str] | None) -> QuerySet[Any]:
        return rows.order_by(*map(self.get_ordering_value, words), "-pk") if words else rows
