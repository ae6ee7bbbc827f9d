"""HTTP/1.1 on one connection: what is read, in which order it is answered, and how long anything may take.

llhttp (through httptools) does the parsing and refuses what smuggles: both a length and chunks, two lengths, bare line
feeds, obsolete folding. On top of it lie limits on head, body, rate and time. A request that is refused before its end
is answered, and then the connection is closed for writing and drained for a moment, so that the client can read why.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from . import wire
from .errors import Refusal
from .exchange import Exchange, Handler


class Host(Protocol):
    """What a connection knows of the server that accepted it."""

    handler: Handler
    heads: wire.Heads
    connections: set["Connection"]
    now: float  # seconds of a coarse monotonic clock
    max_body: int
    held: int  # bytes of request bodies in memory
    max_held: int
    idle_seconds: float
    receive_seconds: float
    draining: bool


def _head_too_large() -> Refusal:
    return Refusal(431, f"The head of a request may have {wire.MAX_HEAD} bytes in {wire.MAX_HEADERS} headers")


class Connection(asyncio.Protocol):
    """One client's connection; ``sweep`` is called about once a second to enforce the time limits."""

    __slots__ = (
        "_body",
        "_closing",
        "_current",
        "_dripped",
        "_ended",
        "_held",
        "_host",
        "_parser",
        "_paused",
        "_queue",
        "_read_size",
        "_receiving",
        "_since",
        "_size",
        "_transport",
        "_unsent",
        "_upgrading",
        "_wants_continue",
        "_write_blocked",
        "handler",
        "heads",
        "is_lost",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self.handler = host.handler
        self.heads = host.heads
        self.is_lost = False
        self._parser = httptools.HttpRequestParser(self)
        self._transport = cast(asyncio.Transport, None)
        self._queue: deque[Exchange] = deque()  # unanswered, in the order of arrival
        self._current = Exchange(self)  # the latest request
        self._receiving = False  # whether it is still arriving
        self._body: list[bytes] = []
        self._size = self._dripped = self._read_size = self._held = self._unsent = 0
        self._since = host.now  # when the present phase began
        self._ended = False  # whether the head of the current request is complete
        self._wants_continue = self._upgrading = False
        self._closing = self._paused = self._write_blocked = False

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._host.connections.add(self)
        if len(self._host.connections) > wire.MAX_CONNECTIONS:
            self._turn_away(Refusal(503, "Too many connections", (("Retry-After", "1"),)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._host.connections.discard(self)
        self._host.held -= self._held
        self._held = 0  # bodies in memory, from the first byte received to the answer
        self._queue.clear()

    def eof_received(self) -> bool:
        """A client may close its side after its last request and still read the answers."""
        if self._closing or not self._queue:
            return False
        self._queue[-1].keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        self._read_size = len(data)
        while not self._closing:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._ignore_upgrade(data[upgrade.args[0] :])
                continue
            except httptools.HttpParserError as error:
                if not self._closing:  # else it is what follows the last request, and nobody waits for an answer
                    cause = error.__context__
                    self._turn_away(cause if isinstance(cause, Refusal) else Refusal(400, f"Not HTTP/1.1: {error}"))
            if self._receiving and not self._ended:
                self._count_head(len(data))
            return

    def pause_writing(self) -> None:
        self._write_blocked = True
        self._unsent = self._transport.get_write_buffer_size()
        self._since = self._host.now
        self._regulate()

    def resume_writing(self) -> None:
        self._write_blocked = False
        self._regulate()

    # --- the parser's calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._current = Exchange(self)
        self._receiving = True
        self._ended = False
        self._size = self._dripped = 0
        self._since = self._host.now

    def on_url(self, url: bytes) -> None:
        self._current.target += url
        if len(self._current.target) > wire.MAX_HEAD:
            raise Refusal(414, f"The address of a request may have {wire.MAX_HEAD} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._ended:  # a trailer, which means nothing here
            return
        headers = self._current.headers
        name = name.lower()
        if name in headers:
            value = headers[name] + b", " + value
        headers[name] = value
        if len(value) > wire.MAX_HEAD or len(headers) > wire.MAX_HEADERS:
            raise _head_too_large()

    def on_headers_complete(self) -> None:
        if self._upgrading:
            return
        exchange = self._current
        self._ended = True
        parser = self._parser
        exchange.method = parser.get_method()
        exchange.keep_alive = parser.should_keep_alive() and not self._host.draining
        self._check_head(exchange)
        if parser.should_upgrade():
            self._upgrading = True

    def on_body(self, body: bytes) -> None:
        host = self._host
        size = len(body)
        self._size += size
        self._held += size
        host.held += size
        if self._size > host.max_body:
            raise Refusal(413, f"The body may have {host.max_body} bytes")
        if host.held > host.max_held:
            raise Refusal(503, "Too many large requests at once", (("Retry-After", "1"),))
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._upgrading or self._closing:
            return
        exchange = self._current
        body = self._body
        if body:
            exchange.body = body[0] if len(body) == 1 else b"".join(body)
            body.clear()
        self._receiving = self._wants_continue = False
        self._queue.append(exchange)
        if exchange.refusal is None:
            self.handler.handle(exchange)
        else:
            exchange.refuse(exchange.refusal)
        if len(self._queue) >= wire.MAX_PIPELINED or self._held > self._host.max_body:
            self._regulate()

    # --- heads ---------------------------------------------------------------------------------------------------

    def _check_head(self, exchange: Exchange) -> None:
        """Refuse on the head alone what would be refused after reading the body."""
        headers = exchange.headers
        # Whatever is not plainly HTTP/1.1 has no Host, or does not keep the connection, or says that it wants to.
        if b"host" not in headers or b"connection" in headers or not exchange.keep_alive:
            self._check_version(exchange)
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].strip().lower() != b"chunked":
            raise Refusal(501, "The only transfer coding taken here is chunked")
        may_be_large = self._dripped or self._read_size > wire.MAX_HEAD
        if may_be_large and sum(map(len, headers.values())) > wire.MAX_HEAD:
            raise _head_too_large()
        self._admit(exchange)
        if b"expect" in headers:
            self._expect(headers[b"expect"])

    def _check_version(self, exchange: Exchange) -> None:
        version = self._parser.get_http_version()
        if version == "1.0":
            exchange.keep_alive = False
        elif version != "1.1":
            raise Refusal(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
        elif b"host" not in exchange.headers:
            raise Refusal(400, "The Host header is missing")

    def _admit(self, exchange: Exchange) -> None:
        """Turn away at once only where a body comes that is too dear to read for keeping the connection."""
        headers = exchange.headers
        length = int(headers.get(b"content-length", b"0"))
        if length > self._host.max_body:
            raise Refusal(413, f"The body may have {self._host.max_body} bytes")
        try:
            self.handler.admit(exchange)
        except Refusal as refusal:
            if length > wire.SMALL_BODY or b"transfer-encoding" in headers or b"expect" in headers:
                raise
            exchange.refusal = refusal

    def _expect(self, value: bytes) -> None:
        if value.strip().lower() != b"100-continue":
            raise Refusal(417, "The only expectation met here is 100-continue")
        if self._parser.get_http_version() == "1.1":
            self._wants_continue = True
            self._send_continue()

    def _send_continue(self) -> None:
        """Interim answers keep the order too: they wait for the answers to earlier requests."""
        if self._wants_continue and not self._queue:
            self._wants_continue = False
            self._transport.write(wire.CONTINUE)

    def _count_head(self, size: int) -> None:
        """Bound a head that comes in several reads; the first may hold other requests too, so its size says little."""
        self._dripped += size if self._dripped else 1
        if self._dripped > wire.MAX_HEAD:
            self._turn_away(_head_too_large())

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Answer in HTTP/1.1 whoever offers another protocol, as RFC 9110 section 7.8 lets a server do.

        The parser stops after such a head without reading the body. Returned is what a fresh parser has to read: the
        same head without the offer, and what follows it.
        """
        exchange = self._current
        self._upgrading = False
        if exchange.method == b"CONNECT":
            self._turn_away(Refusal(405, "CONNECT is not taken here", (("Allow", "GET, HEAD, POST"),)))
            return b""
        dropped = (b"upgrade", b"connection", b"expect")
        lines = [b"%s: %s\r\n" % item for item in exchange.headers.items() if item[0] not in dropped]
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (exchange.method, exchange.target, b"".join(lines))
        self._parser = httptools.HttpRequestParser(self)
        return head + rest

    # --- answers -------------------------------------------------------------------------------------------------

    def send_ready(self, exchange: Exchange) -> None:
        """Write the answers that are due, in the order of their requests."""
        queue = self._queue
        if not queue or queue[0] is not exchange:
            return
        while queue and queue[0].reply is not None:
            first = queue.popleft()
            self._held -= len(first.body)
            self._host.held -= len(first.body)
            self._transport.write(first.reply)  # type: ignore[arg-type]
            if not first.keep_alive:
                self._finish()
                return
        self._since = self._host.now
        if self._paused:
            self._regulate()
        if self._wants_continue:
            self._send_continue()

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer in turn and take nothing more from this connection."""
        exchange = self._current if self._receiving else Exchange(self)
        self._receiving = False
        exchange.keep_alive = False
        self._queue.append(exchange)
        self._closing = True
        self._body.clear()
        exchange.refuse(refusal)

    def _finish(self) -> None:
        """Say that nothing more comes, and leave the client a moment to read before the connection goes."""
        self._queue.clear()
        self._since = self._host.now
        if self._closing and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            return
        self._closing = True
        self._transport.close()

    def _regulate(self) -> None:
        """Read only while the client reads its answers and little of what it asked is unanswered."""
        unanswered = len(self._queue)
        blocked = (
            self._write_blocked
            or unanswered >= wire.MAX_PIPELINED
            or (unanswered > 0 and self._held > self._host.max_body)
        )
        if blocked != self._paused and not self.is_lost:
            self._paused = blocked
            if blocked:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # --- time ----------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Close what has been silent for too long, or answer 408 where a request has begun."""
        age = self._host.now - self._since
        if self._write_blocked:
            self._sweep_writing(age)
        elif self._closing:
            if not self._queue and age > wire.LINGER_SECONDS:
                self._transport.abort()
        elif self._receiving:
            if age > self._patience():
                self._turn_away(Refusal(408, "The request did not arrive in time"))
        elif not self._queue and age > self._host.idle_seconds:
            self._transport.close()

    def _sweep_writing(self, age: float) -> None:
        """A client may read slowly, but it has to read."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._since = self._host.now
        elif age > wire.WRITE_SECONDS:
            self._transport.abort()
        self._unsent = unsent

    def _patience(self) -> float:
        if not self._ended:
            return self._host.receive_seconds
        return self._host.receive_seconds * wire.BODY_PATIENCE + self._size / wire.SLOWEST_RATE

    def end_after_answers(self) -> None:
        """Let the last request that has been asked, or is being received, be the last one."""
        if self._receiving:
            self._current.keep_alive = False
        elif self._queue:
            self._queue[-1].keep_alive = False

    def close_if_idle(self) -> None:
        if not self._receiving and not self._queue and not self._closing:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
