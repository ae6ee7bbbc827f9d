"""One kept-alive HTTP/1.1 connection to a replica: it carries one exchange at a time."""

import asyncio
from collections import deque
from typing import cast

import httptools

RETURNED = frozenset({b"content-type", b"content-encoding", b"inference-header-content-length", b"retry-after"})
_MOST_HEAD = 64 << 10
_HIGH_WATER = 256 << 10
_LOW_WATER = 64 << 10


class ReplicaError(Exception):
    """A replica did not answer as it should."""

    kind = "error"


class Unreachable(ReplicaError):
    """No connection could be made: the replica has seen nothing of the call."""

    kind = "connect"


class Dropped(ReplicaError):
    """The connection ended, or what came over it was no HTTP, before the answer was complete."""

    kind = "reset"


class Connection(asyncio.Protocol):
    """``ask``, await ``answered``, then read ``status``, ``headers`` and either ``body`` or ``next_chunk``.

    An answer of known, small length is complete when ``answered`` is; of others the head is there, and the body is
    read with ``next_chunk``, no faster than it is asked for.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_close_after",
        "_head_bytes",
        "_is_interim",
        "_loop",
        "_parser",
        "_reader",
        "_reading_paused",
        "_small",
        "_transport",
        "_writer",
        "answered",
        "headers",
        "idle_since",
        "is_complete",
        "is_lost",
        "length",
        "status",
        "uses",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, small: int) -> None:
        self._loop = loop
        self._small = small
        self._parser = httptools.HttpResponseParser(self)
        self._transport = cast(asyncio.Transport, None)
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading_paused = False
        self.is_lost = False
        self.is_complete = True
        self.idle_since = 0.0
        self.uses = 0
        self._expect_answer()

    def _expect_answer(self) -> None:
        self.answered: asyncio.Future[None] = self._loop.create_future()
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = self._head_bytes = 0
        self._close_after = self._is_interim = False

    # --- what the gateway asks -----------------------------------------------------------------------------------

    def ask(self, data: bytes) -> "asyncio.Future[None]":
        """Send a request, or its head and what there is of its body; raises Unreachable where nobody is there."""
        if self.is_lost:
            raise Unreachable("the connection ended before anything was asked")
        if self.uses:
            self._expect_answer()
        self.uses += 1
        self.is_complete = False
        self._transport.write(data)
        return self.answered

    async def send(self, data: bytes) -> None:
        """Send more of the body, waiting while the replica does not take it; returns early once it has answered."""
        self._transport.write(data)
        if self._writer is not None:
            await self._writer

    @property
    def body(self) -> bytes:
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def next_chunk(self) -> bytes:
        """The next part of the body, b"" at its end; raises Dropped if it was cut short."""
        while not self._chunks:
            if self.is_complete:
                return b""
            if self.is_lost:
                raise Dropped("the answer was cut short")
            self._reader = self._loop.create_future()
            await self._reader
        chunk = self.body
        self._chunks.clear()
        self._buffered = 0
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        return chunk

    @property
    def is_reusable(self) -> bool:
        return self.is_complete and not self._close_after and not self.is_lost

    def spoil(self) -> None:
        """Let this exchange be the last one here: the replica has not heard all of the question."""
        self._close_after = True

    def close(self) -> None:
        self.is_lost = True
        self.answered.cancel()
        self._transport.abort()

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER, low=_LOW_WATER)

    def data_received(self, data: bytes) -> None:
        if self.is_complete:  # nobody asked
            self.close()
            return
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(Dropped(f"the replica does not speak HTTP: {error}"))
            return
        if not self.status and self._head_bytes > _MOST_HEAD:
            self._fail(Dropped("the head of the answer does not end"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(Dropped("the replica closed the connection"))

    def pause_writing(self) -> None:
        if self._writer is None and not self.answered.done():
            self._writer = self._loop.create_future()

    def resume_writing(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None and not writer.done():
            writer.set_result(None)

    # --- the parser's calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_complete:  # a second answer to one question: whose would it be?
            self._close_after = True

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in RETURNED:
            self.headers.append((name, value))
        elif name == b"content-length":
            self.length = int(value)
        elif name == b"transfer-encoding":
            self._close_after = value.lower() != b"chunked"

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._is_interim = True
            self.headers.clear()
            self.length = None
            return
        if status > 599:
            raise ValueError(f"there is no status {status}")
        self.status = status
        if self.length is None or self.length > self._small:
            self._tell_answered()

    def on_body(self, body: bytes) -> None:
        if self.is_complete:
            return
        self._chunks.append(body)
        self._buffered += len(body)
        self._wake_reader()
        if self._buffered > _HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
            return
        self.is_complete = True
        if not self._parser.should_keep_alive():
            self._close_after = True
        self._tell_answered()
        self._wake_reader()

    def _fail(self, error: Dropped) -> None:
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()
        self.resume_writing()
        if not self.answered.done() and not self.is_complete:
            self.answered.set_exception(error)
        self._wake_reader()

    def _tell_answered(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)
        self.resume_writing()

    def _wake_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)
