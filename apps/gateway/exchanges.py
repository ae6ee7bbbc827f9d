"""One request and its answer on a client's connection, in the words of ASGI."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol

from apps.gateway.calls import ANSWER, Scope
from apps.gateway.refusals import CLOSE, ClientGone, failed

logger = logging.getLogger(__name__)

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS = frozenset({204, 304})
_HIGH_WATER = 64 << 10


class Carrier(Protocol):
    """What an exchange needs of the connection that carries it."""

    @property
    def date(self) -> list[tuple[bytes, bytes]]: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def regulate(self) -> None: ...

    def finish(self, exchange: "Exchange") -> None: ...

    def abort(self) -> None: ...


class Exchange:
    """``receive`` and ``send`` of one ASGI call. The connection feeds it; it writes through the connection.

    Besides ASGI's own messages ``send`` takes ``{"type": ANSWER, "status", "headers", "body"}``: a whole answer that
    goes out in one write, where head and body by themselves take a system call and a packet each.
    """

    __slots__ = (
        "_carrier",
        "_chunks",
        "_has_all",
        "_has_told_all",
        "_is_chunked",
        "_left",
        "_size",
        "_waiter",
        "has_started",
        "is_complete",
        "is_lost",
        "keep_alive",
        "scope",
        "wants_continue",
    )

    def __init__(self, carrier: Carrier, scope: Scope, keep_alive: bool, wants_continue: bool) -> None:
        self._carrier = carrier
        self.scope = scope
        self.keep_alive = keep_alive
        self.wants_continue = wants_continue
        self._chunks: list[bytes] = []
        self._size = self._left = 0
        self._waiter: asyncio.Future[None] | None = None
        self._has_all = self._has_told_all = self._is_chunked = False
        self.has_started = self.is_complete = self.is_lost = False

    async def run(self, app: Any) -> None:
        """Have the application answer; a connection whose answer stays incomplete is of no more use to anybody."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            logger.exception("the gateway failed")
            if not self.has_started and not self.is_lost:
                refusal = failed()
                self._answer(refusal.status, refusal.headers, refusal.body)
        finally:
            if not self.is_complete and not self.is_lost:
                self._carrier.abort()

    # --- the request ---------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether the application has more of the body before it than it should."""
        return self._size > _HIGH_WATER

    def feed(self, body: bytes) -> None:
        self._chunks.append(body)
        self._size += len(body)
        self._wake()

    def feed_end(self) -> None:
        self._has_all = True
        self._wake()

    def lose(self) -> None:
        """The client is gone."""
        self.is_lost = True
        self._wake()

    async def receive(self) -> dict[str, Any]:
        if self.wants_continue:
            self.wants_continue = False
            self._carrier.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.is_lost and not self.is_complete:
            if not self._has_told_all and (self._chunks or self._has_all):
                return self._take_body()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    def _take_body(self) -> dict[str, Any]:
        chunks, was_full = self._chunks, self.is_full
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._size = 0
        self._has_told_all = self._has_all
        if was_full:
            self._carrier.regulate()
        return {"type": "http.request", "body": body, "more_body": not self._has_all}

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- the answer ----------------------------------------------------------------------------------------------

    async def send(self, message: dict[str, Any]) -> None:
        await self._carrier.drain()
        kind = message["type"]
        if self.is_lost:
            if kind == ANSWER:
                return
            raise ClientGone  # or a replica's long answer would be read to its end for nobody
        if kind == ANSWER:
            self._answer(message["status"], message["headers"], message["body"])
        elif kind == "http.response.start":
            self._carrier.write(self._start(message["status"], message["headers"]))
        else:
            self._write_body(message.get("body", b""), message.get("more_body", False))

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        head = self._start(status, headers)
        self._carrier.write(head if self.scope["method"] == "HEAD" else head + body)
        self._complete()

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The head; without a Content-Length the body will be chunked, or end with the connection before HTTP/1.1."""
        self.has_started = True
        self.wants_continue = False
        lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        length = 0 if status in _BODILESS else -1
        for header in (*self._carrier.date, *headers):
            lines.append(b"%s: %s\r\n" % header)
            if header[0] == b"content-length":
                length = int(header[1])
            elif header == CLOSE:
                lines.pop()
                self.keep_alive = False
        if length < 0:
            self._is_chunked = self.scope["http_version"] == "1.1"
            self.keep_alive = self.keep_alive and self._is_chunked
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        self._left = length
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _write_body(self, body: bytes, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self._left = 0
        elif self._is_chunked:
            data = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            self._carrier.write(data if more else data + b"0\r\n\r\n")
        else:
            if self._left >= 0:
                self._left -= len(body)
            self._carrier.write(body)
        if not more:
            if self._left > 0 and not self._is_chunked:
                self._carrier.abort()  # shorter than announced: the client must not take it for the whole
            else:
                self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self._chunks.clear()
        self._size = 0
        self._wake()
        self._carrier.finish(self)
