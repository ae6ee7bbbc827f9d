"""HTTP/1.1 on a client's connection, strictly: llhttp through httptools, and bounds on size, time and order.

llhttp refuses both a length and chunks, two lengths, bare line feeds and obsolete folding. What it leaves to its users
is here: how large a head may be and how long it may take, one request worked on at a time, no upgrades, and how much a
client may go on sending after it has been answered. uvicorn owns the sockets, the signals and the process's life.
"""

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.server import ServerState

from apps.gateway.calls import ANSWER, Scope
from apps.gateway.config import Limits
from apps.gateway.exchanges import STATUS_LINES, Exchange
from apps.gateway.refusals import CLOSE, Refusal, malformed
from apps.gateway.requests import accept_request_id

_LINGER_BYTES = 64 << 20
_FAREWELL_SECONDS = 1.0  # for what is on its way on a kept connection when the server stops, as gunicorn has it
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_EXTENSIONS: dict[str, dict[object, object]] = {ANSWER: {}}


class ClientConnection(asyncio.Protocol):
    """One client's connection. Requests are worked on one after the other, however many have come."""

    limits = Limits()
    keep_alive_seconds = 75.0

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._server = server_state
        self._state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport = cast(asyncio.Transport, None)
        self._client: tuple[str, int] | None = None
        self._queue: deque[Exchange] = deque()  # not answered yet; the first is being worked on
        self._incoming: Exchange | None = None  # whose body is being received
        self._writable: asyncio.Future[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._waits_since: float | None = None  # for the end of a head
        self._idle_since = 0.0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._data_bytes = self._lingered = 0
        self._is_in_head = self._is_paused = self._is_deaf = self._is_ending = False

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client = transport.get_extra_info("peername")
        self._server.connections.add(self)  # type: ignore[arg-type]
        self._waits_since = self._loop.time()
        self._watchdog = self._loop.call_later(self.limits.head_seconds / 2, self._look_at_the_clock)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)  # type: ignore[arg-type]
        if self._watchdog is not None:
            self._watchdog.cancel()
        for exchange in self._queue:
            exchange.lose()
        self._queue.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            self._linger(len(data))
            return
        if self._waits_since is None and self._incoming is None:
            self._waits_since = self._loop.time()
        self._data_bytes = len(data)
        if self._is_in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._turn_away(cause if isinstance(cause, Refusal) else malformed("this is not HTTP/1.1"))
        except httptools.HttpParserUpgrade:
            self._turn_away(malformed("no other protocol is spoken here"))
        else:
            if self._is_in_head and self._head_bytes > self.limits.head_bytes:
                self._turn_away(self._head_too_large())

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- the parser's calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._head_bytes = self._data_bytes
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._waits_since = None
        if self._head_bytes > self.limits.head_bytes and self._measure_head() > self.limits.head_bytes:
            raise self._head_too_large()
        if self._parser.should_upgrade():
            raise malformed("no other protocol is spoken here")
        wants_continue = (b"expect", b"100-continue") in self._headers
        keeps_alive = self._parser.should_keep_alive() and not self._is_ending
        exchange = Exchange(self, self._make_scope(), keeps_alive, wants_continue)
        self._incoming = exchange
        self._lingered = 0
        self._queue.append(exchange)
        if len(self._queue) == 1:
            self._work_on(exchange)
        else:
            self.regulate()

    def _make_scope(self) -> Scope:
        raw_path, query = _split_target(self._url)
        path = raw_path.decode("latin-1")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self._parser.get_http_version(),
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": None,
            "state": self._state,
            "extensions": _EXTENSIONS,
        }

    def on_body(self, body: bytes) -> None:
        exchange = self._incoming
        if exchange is None or exchange.is_complete:
            self._linger(len(body))
            return
        exchange.feed(body)
        if exchange.is_full:
            self.regulate()

    def on_message_complete(self) -> None:
        exchange, self._incoming = self._incoming, None
        if exchange is not None:
            exchange.feed_end()

    # --- the exchanges' calls ------------------------------------------------------------------------------------

    @property
    def date(self) -> list[tuple[bytes, bytes]]:
        """The Date header, which uvicorn renews every second."""
        return self._server.default_headers

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not take what it was sent."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def regulate(self) -> None:
        """Read no further while a body waits to be taken, or requests to be worked on."""
        should_pause = len(self._queue) > 1 or (self._incoming is not None and self._incoming.is_full)
        if should_pause != self._is_paused and not self._transport.is_closing():
            self._is_paused = should_pause
            if should_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def finish(self, exchange: Exchange) -> None:
        """Go on to the next request, or end the connection if this was the last."""
        self._server.total_requests += 1
        self._queue.popleft()
        if not exchange.keep_alive:
            self._close_gently()
            return
        if self._is_ending and not self._queue:
            self._loop.call_later(_FAREWELL_SECONDS, self._close_if_idle)
        self._idle_since = self._loop.time()
        if self._queue:
            self._work_on(self._queue[0])
        if self._is_paused:
            self.regulate()

    def abort(self) -> None:
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: answer what has come or is on its way, say that it was the last, and nothing more."""
        self._is_ending = True
        if not self._queue:
            self._loop.call_later(_FAREWELL_SECONDS, self._close_if_idle)
        elif not self._queue[-1].has_started:
            self._queue[-1].keep_alive = False

    def _close_if_idle(self) -> None:
        if not self._queue and self._waits_since is None:
            self._transport.close()

    def _work_on(self, exchange: Exchange) -> None:
        task = self._loop.create_task(exchange.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    # --- limits --------------------------------------------------------------------------------------------------

    def _measure_head(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"the head of a request may have {self.limits.head_bytes} bytes", "head_too_large")

    def _look_at_the_clock(self) -> None:
        """End a connection whose head does not come to its end, that idles, or on which the client talks on."""
        now, patience = self._loop.time(), self.limits.head_seconds
        if self._transport.is_closing():
            return
        if self._is_deaf:
            self._transport.abort()
            return
        if self._waits_since is not None:
            if now - self._waits_since > patience:
                self._turn_away(Refusal(408, "the head of the request did not arrive in time", "client_timeout"))
        elif not self._queue and now - self._idle_since > (patience if self._incoming else self.keep_alive_seconds):
            self._transport.close()
        self._watchdog = self._loop.call_later(patience / 2, self._look_at_the_clock)

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer what cannot be read, after what was asked before it, and end the connection."""
        self._state["events"][refusal.kind] += 1
        unfinished, self._incoming = self._incoming, None
        if unfinished is not None and unfinished in self._queue:
            self._queue.remove(unfinished)
            unfinished.lose()
        if self._queue:  # the client learns by the end of the connection that nothing after these was read
            self._is_deaf = True
            self._queue[-1].keep_alive = False
            return
        if unfinished is None or not unfinished.has_started:
            self._transport.write(_compose(refusal))
        self._is_deaf = True
        self._close_gently()

    def _close_gently(self) -> None:
        """Close; where the client may still be sending, let it read the answer first, which a reset would destroy."""
        if not (self._is_deaf or self._incoming) or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._is_deaf = True
        self._transport.write_eof()
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _linger(self, size: int) -> None:
        self._lingered += size
        if self._lingered > _LINGER_BYTES:
            self._transport.abort()


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target; raises a 400 Refusal for what is no address of ours."""
    if b"#" in target:
        raise malformed("an address has no fragment")
    if not target.startswith(b"/"):
        url = httptools.parse_url(target)
        if not url.schema or not url.path:
            raise malformed("this is no address")
        return url.path, url.query or b""
    path, _, query = target.partition(b"?")
    return path, query


def _compose(refusal: Refusal) -> bytes:
    body = refusal.body
    lines = [b"%s: %s\r\n" % header for header in refusal.headers if header != CLOSE]
    return b"%s%scontent-length: %d\r\nx-request-id: %s\r\nx-slipway-release: none\r\nconnection: close\r\n\r\n%s" % (
        STATUS_LINES[refusal.status],
        b"".join(lines),
        len(body),
        accept_request_id(b""),
        body,
    )
