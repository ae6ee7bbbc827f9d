"""How strictly HTTP/1.1 is read from clients: uvicorn's httptools protocol with limits on heads, time and leniency.

llhttp itself refuses both a length and chunks, two lengths, bare line feeds and obsolete folding. What it leaves to its
users is added here: a bound on the size of a head and on the time it may take, no upgrades, and a bound on what a
client may go on sending after it has been answered.
"""

import asyncio
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from apps.gateway.calls import ANSWER_AT_ONCE
from apps.gateway.config import Limits
from apps.gateway.refusals import Refusal, malformed
from apps.gateway.requests import accept_request_id

_LINGER_BYTES = 4 << 20


class StrictProtocol(HttpToolsProtocol):
    """One client's connection."""

    limits = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waits_since: float | None = None  # for the end of a head
        self._idle_since = 0.0
        self._head_bytes = 0
        self._data_bytes = 0
        self._lingered = 0
        self._is_in_head = self._is_in_body = False
        self._watchdog: asyncio.TimerHandle | None = None

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._watchdog = self.loop.call_later(self.limits.head_seconds / 2, self._look_at_the_clock)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waits_since is None and not self._is_in_body:
            self._waits_since = self.loop.time()
        self._data_bytes = len(data)
        if self._is_in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._turn_away(cause if isinstance(cause, Refusal) else malformed("this is not HTTP/1.1"))
        except httptools.HttpParserUpgrade:
            self._turn_away(malformed("no other protocol is spoken here"))
        else:
            if self._is_in_head and self._head_bytes > self.limits.head_bytes:
                self._turn_away(self._head_too_large())

    # --- the parser's calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._data_bytes

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._head_bytes > self.limits.head_bytes and self._measure_head() > self.limits.head_bytes:
            raise self._head_too_large()
        if self.parser.should_upgrade():
            raise malformed("no other protocol is spoken here")
        self._is_in_body = True
        self._waits_since = None
        self._lingered = 0
        super().on_headers_complete()
        self.scope["extensions"] = {  # type: ignore[dict-item]
            ANSWER_AT_ONCE: partial(self._answer_at_once, self.cycle)
        }

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._lingered += len(body)
            if self._lingered > _LINGER_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    # --- answers -------------------------------------------------------------------------------------------------

    def _answer_at_once(
        self, cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        """Send a whole answer in one write; False where that is not possible now, and the usual way has to be taken.

        uvicorn writes head and body one after the other: a second system call and a second packet for every answer.
        """
        if cycle.scope["method"] == "HEAD" or self.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        lines = [b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[status], b"".join(lines), body))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        """Go on with what was pipelined; else the clock that runs anyway ends an idle connection.

        uvicorn would set a timer after each answer and take it back at the next request.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    # --- limits --------------------------------------------------------------------------------------------------

    def _measure_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"the head of a request may have {self.limits.head_bytes} bytes", "head_too_large")

    def _look_at_the_clock(self) -> None:
        """End a connection whose head does not come to its end, that idles, or on which the client talks on."""
        now, patience = self.loop.time(), self.limits.head_seconds
        if self.transport.is_closing():
            return
        if self._waits_since is not None:
            if now - self._waits_since > patience:
                self._turn_away(Refusal(408, "the head of the request did not arrive in time", "client_timeout"))
        elif self.cycle.response_complete:
            answered_ago = now - self._idle_since
            if answered_ago > (patience if self._is_in_body else self.timeout_keep_alive):
                self.transport.close()
        self._watchdog = self.loop.call_later(patience / 2, self._look_at_the_clock)

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer what cannot be read, unless an earlier request is still being answered, and end the connection."""
        if self.transport.is_closing():
            return
        self.app_state["events"][refusal.kind] += 1
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not self._is_in_body:  # the earlier request is whole: its answer may still go out
                cycle.keep_alive = False
                self.flow.pause_reading()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if not self.pipeline and (cycle is None or cycle.response_complete or not cycle.response_started):
            self.transport.write(_compose(refusal))
        self.transport.close()


def _compose(refusal: Refusal) -> bytes:
    body = refusal.body
    lines = [b"%s: %s\r\n" % header for header in refusal.headers]
    return b"%s%scontent-length: %d\r\nx-request-id: %s\r\nx-slipway-release: none\r\nconnection: close\r\n\r\n%s" % (
        STATUS_LINE[refusal.status],
        b"".join(lines),
        len(body),
        accept_request_id(b""),
        body,
    )
