"""RFC 9457 problem documents for the API: the one place where an API exception becomes an answer."""

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, JsonResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.errors import DomainError, Invalid, TooLarge

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    411: "Length missing",
    412: "Other protocol",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be",
    429: "Too many requests",
    500: "Broken",
    503: "Unavailable",
    507: "Disk full",
}


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: a problem document, or None for what is truly unexpected (500)."""
    if isinstance(error, Http404):
        error = exceptions.NotFound(_("No such thing here."))
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, SuspiciousOperation):
        error = TooLarge(_("The form's fields are too large.")) if isinstance(error, RequestDataTooBig) else _odd()
    if isinstance(error, DomainError):
        set_rollback()
        errors = error.errors if isinstance(error, Invalid) else {}
        texts = {name: [str(text) for text in each] for name, each in errors.items()}
        return _problem(error.status, joined(error), texts, retry(error))
    if isinstance(error, exceptions.APIException):
        set_rollback()
        return _from_rest(error)
    return None


def document(status: int, detail: str, headers: dict[str, str] | None = None) -> JsonResponse:
    """A problem document outside the API's views."""
    return JsonResponse(_body(status, detail), status=status, content_type=MEDIA_TYPE, headers=headers)


def retry(error: DomainError) -> dict[str, str]:
    """The header that says when to come again, where waiting helps."""
    return {"Retry-After": str(error.retry_after)} if error.retry_after else {}


def _odd() -> exceptions.ParseError:
    return exceptions.ParseError(_("This request makes no sense to us."))


def _from_rest(error: exceptions.APIException) -> Response:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    if isinstance(error, exceptions.ValidationError):
        errors = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        return _problem(422, _("Some fields are not right."), errors, headers)
    return _problem(error.status_code, str(error.detail), {}, headers)


def _problem(
    status: int, detail: str, errors: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = _body(status, detail)
    if errors:
        body["errors"] = errors
    return Response(body, status=status, headers=headers or {}, content_type=MEDIA_TYPE)


def _body(status: int, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }


def joined(error: DomainError) -> str:
    return f"{error.message} {error.advice}".strip()
