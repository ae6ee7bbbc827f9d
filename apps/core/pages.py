"""Pages: one view answers the whole page or, to htmx, only its fragment."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def render_page(
    request: HttpRequest, page: str, context: dict[str, Any], *, fragment: str | None = None, status: int = 200
) -> HttpResponse:
    """Render ``page``, or ``fragment`` when htmx asks for a part of it (a boosted link asks for the whole page)."""
    partial = request.htmx and not request.htmx.boosted  # type: ignore[attr-defined]
    template = fragment if partial and fragment else page
    response = render(request, template, context, status=status)
    if fragment:
        response.headers["Vary"] = "HX-Request"
    return response
