"""``Idempotency-Key``: an unsafe call that is sent twice is done once, and answered twice.

The answer is kept for 24 hours under the actor, the address and the key. The same key with another body is refused; so
is one whose first call is still being worked on. A call that ended in an error left nothing behind and may be repeated
under its key. The answer is committed together with what the call did: a process that dies in between leaves both
or neither. What is shown once is not kept: a repeated call is answered without it (None in its place).
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import caches
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.connection import ConnectionProxy
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Invalid, StateConflict

KEPT_SECONDS = 24 * 3600
RUNNING_SECONDS = 300
MAX_LENGTH = 255

UNSAFE = ("post", "put", "patch", "delete")

answers = ConnectionProxy(caches, "answers")

Method = Callable[..., Response]


class IdempotentMixin:
    """Mixed into an API view, before the view's class: its unsafe methods honour the caller's ``Idempotency-Key``."""

    shown_once: tuple[str, ...] = ()  # fields of answers that are kept nowhere
    asked_in_headers: tuple[str, ...] = ()  # what belongs to the request beside its body

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in UNSAFE:
            method = getattr(cls, name, None)
            if method is not None and not hasattr(method, "is_idempotent"):
                setattr(cls, name, _once(method))

    def prepare(self) -> None:
        """Do what is not to be done inside a transaction, such as putting files away."""


def harmless(method: Method) -> Method:
    """A method that takes no ``Idempotency-Key``: whatever is sent twice there is refused the second time."""
    method.is_idempotent = False  # type: ignore[attr-defined]
    return method


def _once(method: Method) -> Method:
    """One method that does what it does once, and answers as often as it is asked under the same key."""

    @wraps(method)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        chosen = request.headers.get("Idempotency-Key")
        if chosen is None:
            return method(view, request, *args, **kwargs)
        place, body = _place(request, chosen), _digest(view, request)
        if not answers.add(place, {"body": body}, RUNNING_SECONDS):
            return _repeated(answers.get(place), body)
        try:
            view.prepare()
            with transaction.atomic():
                response = method(view, request, *args, **kwargs)
                answers.set(place, {"body": body, "answer": _kept(view, response)}, KEPT_SECONDS)
        except Exception:
            answers.delete(place)
            raise
        return response

    answer.is_idempotent = True  # type: ignore[attr-defined]
    return answer


def _place(request: Request, chosen: str) -> str:
    if not 0 < len(chosen) <= MAX_LENGTH:
        raise Invalid(_("An Idempotency-Key has 1 to %(limit)d characters.") % {"limit": MAX_LENGTH})
    actor = request.actor  # type: ignore[attr-defined]
    parts = json.dumps([actor.kind, actor.id, request.method, request.get_full_path(), chosen])
    return f"idempotency:{hashlib.sha256(parts.encode()).hexdigest()}"


def _digest(view: IdempotentMixin, request: Request) -> str:
    """One digest for the same fields and files, however they were cut into multipart pieces.

    Keyed, because a body may hold a password that could be guessed.
    """
    digest = salted_hmac(__name__, json.dumps([request.headers.get(name) for name in view.asked_in_headers]))
    if not hasattr(request.data, "lists"):
        digest.update(json.dumps(request.data, sort_keys=True).encode())
        return digest.hexdigest()
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


def _kept(view: IdempotentMixin, response: Response) -> tuple[int, Any, dict[str, str]]:
    headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
    data = response.data
    if isinstance(data, dict) and view.shown_once:
        data = {name: None if name in view.shown_once else value for name, value in data.items()}
    return response.status_code, data, headers
