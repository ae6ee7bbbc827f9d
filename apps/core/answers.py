"""What is refused or goes wrong outside the API's views: problem documents for programs, pages for people."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from apps.core.errors import DomainError, Unavailable
from apps.core.problems import document, joined, retry

API = "/api/v1/"


def refuse(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A problem document, a page, or a toast for htmx, with the error's status."""
    return _refuse(request, error, "problem.html", reader=request)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler400``."""
    if _is_program(request):
        return document(400, _("Something in the address, the headers or the body makes no sense to us."))
    return defaults.bad_request(request, exception)


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler404``."""
    if _is_program(request):
        return document(404, _("No such thing here."))
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``: 503 while the database is away or too busy, 500 for what nobody expected.

    Its pages ask the database nothing, not even who is reading.
    """
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        away = Unavailable(_("The database is away or too busy."), advice=_("Try again in a few seconds."))
        return _refuse(request, away, "503.html", reader=None)
    if _is_program(request):
        return document(500, _("Something went wrong on our side. It has been written to the log."))
    return defaults.server_error(request)


def _refuse(request: HttpRequest, error: DomainError, page: str, reader: HttpRequest | None) -> HttpResponse:
    """Without a ``reader`` the page is rendered for nobody in particular."""
    if _is_program(request):
        return document(error.status, joined(error), retry(error))
    template = "parts/_problem.html" if _is_partial(request) else page
    text = render_to_string(template, {"error": error, "status": error.status}, reader)
    return HttpResponse(text, status=error.status, headers=retry(error))


def _is_program(request: HttpRequest) -> bool:
    preferred = request.get_preferred_type(["text/html", "application/json", "application/problem+json"])
    return request.path.startswith(API) or str(preferred).startswith("application/")


def _is_partial(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers and "HX-Boosted" not in request.headers
