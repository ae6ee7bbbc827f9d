"""Callers as strict as a load balancer may be: only a refused connection is tried elsewhere, nothing is sent twice.

One call follows the other on a kept connection, or each has one of its own. Whatever else happens to a call, a reset,
an end without an answer, a status that nobody wanted, is counted as it is.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PAUSE_SECONDS = 0.02  # between two calls of one caller
WAIT_SECONDS = 0.02  # when nobody listens anywhere
PATIENCE_SECONDS = 60.0  # for a listener, and for an answer


@dataclass
class Calls:
    """What came of the calls: how many of each answer, what those said that nobody wanted, how many refused connections
    were passed over, the longest wait."""

    answers: Counter[int | str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    longest: float = 0.0

    def __str__(self) -> str:
        total = sum(self.answers.values())
        words = "".join(f", {count} × {text}" for text, count in self.words.items())
        refused = f"{self.refused} connections refused"
        return f"{total} calls: {dict(self.answers)}{words}, {refused}, {self.longest:.1f} s at most"


@dataclass
class Caller:
    """Calls the first of some ports that does not refuse; ``request`` is sent as it is."""

    ports: Callable[[], Sequence[int]]
    request: bytes
    keeps: bool
    calls: Calls
    connection: Connection | None = None

    async def run(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            begun = time.monotonic()
            try:
                answer: int | str = await asyncio.wait_for(self._call(), PATIENCE_SECONDS)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                answer, self.connection = type(error).__name__, None
            self.calls.answers[answer] += 1
            self.calls.longest = max(self.calls.longest, time.monotonic() - begun)
            await asyncio.sleep(PAUSE_SECONDS)
        if self.connection:
            self.connection[1].close()

    async def _call(self) -> int:
        reader, writer = self.connection or await self._connect()
        self.connection = None
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        body = await reader.readexactly(int(lines["content-length"]))
        if self.keeps and lines.get("connection") != "close":
            self.connection = reader, writer
        else:
            writer.close()
        status = int(head.split(" ", 2)[1])
        if status != 200:
            self.calls.words[body.decode()] += 1
        return status

    async def _connect(self) -> Connection:
        while True:
            for port in self.ports():
                try:
                    return await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    self.calls.refused += 1
            await asyncio.sleep(WAIT_SECONDS)


def compose(method: str, path: str, key: str, *, keeps: bool, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    lines += [
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        *([] if keeps else ["Connection: close"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def calling(callers: Sequence[Caller]) -> Iterator[None]:
    """Let all of them call, in a thread of their own, while the block runs."""
    is_over = threading.Event()

    async def everybody() -> None:
        await asyncio.gather(*(caller.run(is_over) for caller in callers))

    thread = threading.Thread(target=lambda: asyncio.run(everybody()), name="callers")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
