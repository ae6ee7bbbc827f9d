"""Domain errors as answers: the one place where a view's exception becomes a page, and how much a request may bring."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apps.core.answers import refuse
from apps.core.bodies import announced_bytes, require_size
from apps.core.errors import DomainError

DEVICES = ("accelerometer", "camera", "geolocation", "gyroscope", "magnetometer", "microphone", "payment", "usb")


class DomainErrorMiddleware(MiddlewareMixin):
    """Turn a DomainError into a problem page (or a toast for htmx) with its status; the API has its own handler."""

    get_response: Callable[[HttpRequest], HttpResponse]

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refuse(request, error) if isinstance(error, DomainError) else None


class HeadersMiddleware(MiddlewareMixin):
    """Headers that Django's own middleware lacks: nobody may embed what we answer, and pages ask for no devices."""

    get_response: Callable[[HttpRequest], HttpResponse]

    def process_response(self, _request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("Permissions-Policy", ", ".join(f"{name}=()" for name in DEVICES))
        return response


class BodyMiddleware(MiddlewareMixin):
    """Refuse bodies larger than the view takes. Stands before the check of CSRF tokens, which reads whole forms."""

    get_response: Callable[[HttpRequest], HttpResponse]

    def process_view(self, request: HttpRequest, view: Callable[..., Any], *_where: Any) -> HttpResponse | None:
        if getattr(getattr(view, "cls", view), "measures_bodies", False):
            return None
        try:
            require_size(announced_bytes(request))
        except DomainError as error:
            return refuse(request, error)
        return None
