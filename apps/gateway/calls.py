"""A call on its way through, and the watch that ends those that take too long or that nobody waits for any more."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, cast

from apps.gateway.metering import GONE, Meter

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: The extension of ASGI by which our own protocol takes a whole answer in one message.
ANSWER = "slipway.answer"

SWEEP_SECONDS = 0.25
_LISTEN_AFTER = 0.5
_BODILESS = frozenset({204, 304})


class Phase(Enum):
    """Whom the call is waiting for."""

    CLIENT = "client"  # for the rest of the request
    REPLICA = "replica"  # for the head of the answer
    ANSWER = "answer"  # for more of the answer, or for the client to take it


class Call:
    """One request and what has become of it so far. ``status`` is what the books will say; 0 is no answer."""

    __slots__ = (
        "_is_extended",
        "bytes_in",
        "bytes_out",
        "cut",
        "has_been_read",
        "has_begun",
        "is_interruptible",
        "is_routed",
        "listener",
        "meter",
        "phase",
        "receive",
        "release",
        "request_id",
        "send",
        "started",
        "status",
        "task",
        "until",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, now: float, until: float) -> None:
        self.receive = receive
        self.send = send
        self._is_extended = ANSWER in scope.get("extensions", ())
        self.task = cast("asyncio.Task[None]", asyncio.current_task())
        self.started = now
        self.until = until
        self.phase = Phase.CLIENT
        self.cut: Phase | str = ""
        self.listener: asyncio.Task[None] | None = None
        self.request_id = b""
        self.release = b"none"
        self.meter: Meter | None = None
        self.has_begun = self.has_been_read = self.is_routed = self.is_interruptible = False
        self.bytes_in = self.bytes_out = self.status = 0

    def wait_for(self, phase: Phase, until: float) -> None:
        self.phase = phase
        self.until = until

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer; its length, and the two headers that every answer has, are added here."""
        if status not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(body)))
        self._start(status, headers)
        if self._is_extended:
            self.bytes_out = len(body)
            await self.send({"type": ANSWER, "status": status, "headers": headers, "body": body})
            return
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.write(body, more=False)

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of an answer whose body follows with ``write``."""
        self._start(status, headers)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, more: bool) -> None:
        self.bytes_out += len(body)
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        headers.append((b"x-request-id", self.request_id))
        headers.append((b"x-slipway-release", self.release))
        self.status = status
        self.has_begun = True

    def end(self, why: Phase | str) -> None:
        """Break the call off wherever it is waiting; its own task then says what that means."""
        if not self.cut:
            self.cut = why
            self.task.cancel()

    def interrupt(self, _answered: "asyncio.Future[None]") -> None:
        """Stop reading the request, if that is what the call is doing: its answer is there already."""
        if self.is_interruptible:
            self.task.cancel()

    def listen(self) -> None:
        """Notice from now on when the client goes away."""
        self.listener = asyncio.create_task(self._hear_the_end())

    async def _hear_the_end(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.end(GONE)


class Watch:
    """All calls in flight, looked through four times a second.

    One sweep over all costs less than a timer and a listening task for each: most calls are over before the next.
    """

    def __init__(self) -> None:
        self.calls: set[Call] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        for call in tuple(self.calls):
            if now > call.until:
                call.end(call.phase)
            elif call.has_been_read and call.listener is None and now - call.started > _LISTEN_AFTER:
                call.listen()

    def remove(self, call: Call) -> None:
        self.calls.discard(call)
        if call.listener is not None:
            call.listener.cancel()
