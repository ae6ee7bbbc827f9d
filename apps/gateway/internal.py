"""Addresses for the house itself: /healthz for whoever asks, /metrics and the closed windows for the house."""

import hmac
from collections import Counter
from urllib.parse import parse_qs

import orjson

from apps.gateway.admission import Admission
from apps.gateway.exposition import CONTENT_TYPE, expose
from apps.gateway.metering import Books
from apps.gateway.refreshing import Refresher
from apps.gateway.refusals import Refusal, malformed, not_found, wrong_method
from apps.gateway.requests import Head

_JSON = b"application/json"
_LOOPBACK = ("127.0.0.1", "::1")
_PROXY_HEADERS = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})


class InternalPages:
    """Answers ``(status, content type, body)``; whoever may not ask finds nothing there."""

    def __init__(
        self, token: str, books: Books, admission: Admission, events: Counter[str], refresher: Refresher
    ) -> None:
        self._token = token.encode()
        self._books = books
        self._admission = admission
        self._events = events
        self._refresher = refresher

    def answer(self, method: str, path: str, query: bytes, head: Head, client: str) -> tuple[int, bytes, bytes]:
        if path not in ("/healthz", "/metrics", "/-/windows"):
            raise not_found()
        if path != "/healthz" and not self._may_ask(path, head, client):
            raise not_found()
        if method not in ("GET", "HEAD"):
            raise wrong_method("GET")
        if path == "/healthz":
            return self._tell_health()
        if path == "/metrics":
            return 200, CONTENT_TYPE, expose(self._books.meters, self._events, self._refresher)
        told = self._books.collect(_read_after(query))
        return 200, _JSON, orjson.dumps({**told, "keys": self._admission.tell_used()})

    def _tell_health(self) -> tuple[int, bytes, bytes]:
        """Whether calls can be served, and by which snapshot. An old one will do; its age is for the alert rules."""
        if not self._refresher.is_ready:
            raise Refusal(503, "there are no routes yet: the database has not answered since the start", "not_ready")
        return 200, _JSON, orjson.dumps({"status": "ok", "snapshot": self._refresher.version})

    def _may_ask(self, path: str, head: Head, client: str) -> bool:
        """The token opens both; metrics are also for this machine, as long as it does not speak for another."""
        if hmac.compare_digest(head.all.get(b"x-slipway-token", b""), self._token):
            return True
        speaks_for_another = not _PROXY_HEADERS.isdisjoint(head.all)
        return path == "/metrics" and client in _LOOPBACK and not speaks_for_another


def _read_after(query: bytes) -> int:
    given = parse_qs(query.decode("latin-1")).get("after", ["0"])[0]
    if not given.isdecimal() or len(given) > 18:
        raise malformed("after has to be the number of a window")
    return int(given)
