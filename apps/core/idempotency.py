"""``Idempotency-Key``: an unsafe call that is sent twice is done once, and answered twice.

The answer is kept for 24 hours under the actor, the address and the key. The same key with another body is refused; so
is one whose first call is still being worked on. A call that ended in an error left nothing behind and may be repeated
under its key.
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.errors import Invalid, StateConflict

KEPT_SECONDS = 24 * 3600
RUNNING_SECONDS = 300
MAX_LENGTH = 255

PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Up to 255 characters of your choice. Sent again with the same body, the call is answered from memory.",
)

UNSAFE = ("post", "put", "patch", "delete")

Method = Callable[..., Response]


class IdempotentMixin:
    """Mixed into an API view, before the view's class: its unsafe methods honour the caller's ``Idempotency-Key``."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in UNSAFE:
            method = getattr(cls, name, None)
            if method is not None and not getattr(method, "is_idempotent", False):
                setattr(cls, name, idempotent(method))


def idempotent(method: Method) -> Method:
    """One method that does what it does once, and answers as often as it is asked under the same key."""

    @wraps(method)
    def answer(view: APIView, request: Request, *args: Any, **kwargs: Any) -> Response:
        chosen = request.headers.get("Idempotency-Key")
        if chosen is None:
            return method(view, request, *args, **kwargs)
        place, body = _place(request, chosen), _digest(request)
        if not cache.add(place, {"body": body}, RUNNING_SECONDS):
            return _repeated(cache.get(place), body)
        try:
            response = method(view, request, *args, **kwargs)
        except Exception:
            cache.delete(place)
            raise
        cache.set(place, {"body": body, "answer": _kept(response)}, KEPT_SECONDS)
        return response

    answer.is_idempotent = True  # type: ignore[attr-defined]
    return answer


def _place(request: Request, chosen: str) -> str:
    if not 0 < len(chosen) <= MAX_LENGTH:
        raise Invalid(_("An Idempotency-Key has 1 to %(limit)d characters.") % {"limit": MAX_LENGTH})
    actor = request.actor  # type: ignore[attr-defined]
    parts = json.dumps([actor.kind, actor.id, request.method, request.get_full_path(), chosen])
    return f"idempotency:{hashlib.sha256(parts.encode()).hexdigest()}"


def _digest(request: Request) -> str:
    """One digest for the same fields and files, however they were cut into multipart pieces."""
    if not hasattr(request.data, "lists"):
        return hashlib.sha256(json.dumps(request.data, sort_keys=True).encode()).hexdigest()
    digest = hashlib.sha256()
    for name, values in sorted(request.data.lists()):
        for value in values:
            digest.update(json.dumps([name, _field_digest(value)]).encode())
    return digest.hexdigest()


def _field_digest(value: Any) -> str:
    if not isinstance(value, UploadedFile):
        return str(value)
    digest = hashlib.sha256(str(value.name).encode())
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return digest.hexdigest()


def _repeated(stored: dict[str, Any] | None, body: str) -> Response:
    if stored and stored["body"] != body:
        raise Invalid(
            _("This Idempotency-Key was used for another request."), advice=_("Choose a new key for a new request.")
        )
    if not stored or "answer" not in stored:
        raise StateConflict(
            _("The first request with this Idempotency-Key is still being worked on."),
            advice=_("Repeat it in a few seconds."),
        )
    status, data, headers = stored["answer"]
    return Response(data, status=status, headers={**headers, "Idempotent-Replayed": "true"})


def _kept(response: Response) -> tuple[int, Any, dict[str, str]]:
    headers = {"Location": response["Location"]} if response.has_header("Location") else {}
    return response.status_code, response.data, headers
