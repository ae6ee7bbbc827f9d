"""Domain errors as pages and fragments: the one place where a view's exception becomes an answer."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from apps.core.errors import DomainError


class DomainErrorMiddleware(MiddlewareMixin):
    """Turn a DomainError into a problem page (or a toast for htmx) with its status; the API has its own handler."""

    get_response: Callable[[HttpRequest], HttpResponse]

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        partial = request.htmx and not request.htmx.boosted  # type: ignore[attr-defined]
        template = "parts/_problem.html" if partial else "problem.html"
        return render(request, template, {"error": error, "status": error.status}, status=error.status)
