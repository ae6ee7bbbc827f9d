"""Pages of lists: ``{"count", "next", "previous", "results"}``, and ``?page_size=`` up to 200.

``Pages`` are numbered by ``?page=``; ``KeysetPages``, for long lists, go on from the last row by ``?cursor=``.
"""

from typing import Any

from rest_framework.pagination import BasePagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from apps.core.keyset import Slice, cut

PAGE_SIZE, MAX_PAGE_SIZE = 50, 200


class Pages(PageNumberPagination):
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE


class KeysetPages(BasePagination):
    """Pages whose links carry a cursor; the list is counted for its first page only."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        return self.take(cut(queryset, request.query_params.get("cursor", ""), page_size(request)), request)

    def take(self, page: Slice, request: Request) -> list[Any]:
        """Answer with a page that was cut already."""
        self.page, self.address = page, remove_query_param(request.build_absolute_uri(), "cursor")
        return page.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "count": self.page.count,
                "next": self._link(self.page.next),
                "previous": self._link(self.page.previous),
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return PageNumberPagination().get_paginated_response_schema(schema)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = f"How many results to return, {PAGE_SIZE} unless told otherwise and at most {MAX_PAGE_SIZE}."
        told = (("cursor", "string", "Out of `next` or `previous`."), ("page_size", "integer", size))
        return [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind}}
            for name, kind, text in told
        ]

    def _link(self, cursor: str) -> str | None:
        return replace_query_param(self.address, "cursor", cursor) if cursor else None


def page_size(request: Request) -> int:
    """How many rows the caller wants, within the limits; what is no number counts as not said."""
    asked = request.query_params.get("page_size", "")
    return min(int(asked), MAX_PAGE_SIZE) if asked.isdecimal() and len(asked) < 9 and int(asked) else PAGE_SIZE
