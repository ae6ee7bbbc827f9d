"""One request and its one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from .errors import Refusal
from .wire import JSON, Heads, error_body


class Handler(Protocol):
    """What the connections call: the application."""

    def admit(self, exchange: Exchange) -> None:
        """Look at the head before the body is read; raise ``Refusal`` to turn the request away."""

    def handle(self, exchange: Exchange) -> None:
        """Answer now or later, exactly once. Must not raise."""

    def observe(self, exchange: Exchange, status: int) -> None:
        """Take note of an answer."""


class Line(Protocol):
    """What an exchange knows of the connection that it came on."""

    handler: Handler
    heads: Heads
    is_lost: bool

    def send_ready(self, exchange: Exchange) -> None: ...


class Exchange:
    """A request as it was received. ``answer`` or ``refuse`` is called exactly once, from the event loop's thread."""

    method = b""
    target = b""
    body = b""
    keep_alive = True
    route = "other"  # a bounded label for metrics
    act: Callable[[Exchange], None] | None = None  # what answers it, once admitted
    refusal: Refusal | None = None  # known from the head, told after the body
    reply: bytes | None = None

    def __init__(self, line: Line) -> None:
        self._line = line
        self.started = time.perf_counter()
        self.headers: dict[bytes, bytes] = {}

    @property
    def is_abandoned(self) -> bool:
        """Whether the client has gone, so that nobody will read the answer."""
        return self._line.is_lost

    def answer(
        self,
        body: bytes,
        content_type: str = JSON,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send the answer as soon as the answers to earlier requests on the connection are out."""
        line = self._line
        head = line.heads.get(status, content_type) + b"%d\r\n" % len(body)
        if headers or not self.keep_alive:
            head += self._extra(headers)
        if self.method == b"HEAD":
            body = b""
        self.reply = head + b"\r\n" + body
        line.handler.observe(self, status)
        line.send_ready(self)

    def _extra(self, headers: Sequence[tuple[str, str]]) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        return "".join(lines).encode("latin-1", errors="replace")

    def refuse(self, refusal: Refusal) -> None:
        """Send the error object of a refusal."""
        self.answer(error_body(refusal.message), JSON, refusal.status, refusal.headers)
