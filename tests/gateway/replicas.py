"""Replicas that behave well or badly on purpose, on real sockets, and remember what they were asked.

They read HTTP with their own few lines instead of a parser that the gateway uses too: what reaches them is judged by
somebody else.
"""

import asyncio
import contextlib
import ctypes
import hashlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from apps.gateway.tables import Replica

JSON_OK = b'{"outputs": []}'


@dataclass
class Asked:
    """One request as a replica saw it."""

    method: str
    path: str
    headers: dict[str, str]
    names: list[str]
    body: bytes = b""
    digest: str = ""
    size: int = 0


Behaviour = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class StandIn:
    """A listening replica. ``asked`` are the requests so far; ``strange`` is what was no HTTP at all."""

    behave: Behaviour
    reads_body: bool = True
    secret: str = "shown to the replica only"
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    strange: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    is_killed: bool = False

    def as_replica(self, name: str = "") -> Replica:
        return Replica(name or f"replica-{self.port}", "127.0.0.1", self.port, self.secret)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_killed:  # before it got here: connected is sooner than served
            writer.transport.abort()
            return
        self.open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while asked := await self._read_head(reader):
                self.asked.append(asked)
                if self.reads_body:
                    await read_body(asked, reader)
                await self.behave(asked, reader, writer)
                await writer.drain()
        self.open.discard(writer)
        writer.close()

    async def _read_head(self, reader: asyncio.StreamReader) -> Asked | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.strange.append(error.partial)
            return None
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, version = first.split(" ")
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in lines]
        return Asked(method, path, dict(pairs), [name for name, _ in pairs])


async def read_body(asked: Asked, reader: asyncio.StreamReader) -> None:
    """Take in the body, keeping it only where it is small."""
    digest = hashlib.sha256()
    if asked.headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            take(asked, digest, await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
    left = int(asked.headers.get("content-length", 0))
    while left:
        part = await reader.read(min(left, 1 << 16))
        if not part:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(part)
        take(asked, digest, part)
    asked.digest = digest.hexdigest()


def take(asked: Asked, digest: "hashlib._Hash", part: bytes) -> None:
    asked.size += len(part)
    digest.update(part)
    if asked.size <= 1 << 20:
        asked.body += part


def compose(status: int = 200, body: bytes = JSON_OK, *lines: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *lines]
    if not any(line.lower().startswith("content-type") for line in lines):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, "", ""]).encode() + body


# --- behaviours -----------------------------------------------------------------------------------------------------


async def answer_well(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(compose())


def answer_with(data: bytes) -> Behaviour:
    async def behave(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return behave


def answer_after(released: threading.Event) -> Behaviour:
    """Answer once the test says so."""

    async def behave(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not released.is_set():
            await asyncio.sleep(0.01)
        writer.write(compose())

    return behave


def break_off_after(data: bytes) -> Behaviour:
    """Write this much and reset the connection."""

    async def behave(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.transport.abort()

    return behave


def answer_big(size: int, chunked: bool) -> Behaviour:
    """Answer with ``size`` zero bytes, as fast as the gateway takes them."""

    async def behave(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        part = bytes(1 << 16)
        for _ in range(size >> 16):
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")

    return behave


async def refuse_unread(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say no on the head alone, and only then take in the body."""
    writer.write(compose(413, b'{"error": "too large for this model"}'))
    await writer.drain()
    await read_body(asked, reader)


def drop_all(line: socket.socket) -> None:
    """A filter on the socket that drops every packet (Linux: one instruction of classic BPF, "return 0")."""
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    line.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", 1, ctypes.addressof(program)))


# --- the stage ------------------------------------------------------------------------------------------------------


class Stage:
    """A thread with an event loop on which the stand-ins live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-ins", daemon=True)
        self._servers: dict[int, asyncio.Server] = {}
        self._thread.start()

    def add(self, behave: Behaviour = answer_well, *, reads_body: bool = True, port: int = 0) -> StandIn:
        stand_in = StandIn(behave, reads_body)

        async def start() -> None:
            server = await asyncio.start_server(stand_in.serve, "127.0.0.1", port, limit=1 << 18, backlog=4096)
            stand_in.port = server.sockets[0].getsockname()[1]
            self._servers[stand_in.port] = server

        self._run(start())
        return stand_in

    def pull_the_cable(self, stand_in: StandIn) -> None:
        """Let nothing in that comes for it, not even at the kernel: no acknowledgement, no reset, no new connection."""
        lines = [writer.get_extra_info("socket") for writer in stand_in.open]
        for line in [*lines, *self._servers[stand_in.port].sockets]:
            drop_all(line)

    def kill(self, stand_in: StandIn) -> None:
        """Stop listening and reset every connection at once, like a process that was killed."""

        async def stop() -> None:
            stand_in.is_killed = True
            server = self._servers.pop(stand_in.port)
            for line in server.sockets:
                self._loop.remove_reader(line)
            await asyncio.sleep(0)  # whom it has just taken in is turned away; a closed server would forget them, open
            server.close()
            for writer in list(stand_in.open):
                writer.transport.abort()

        self._run(stop())

    def close(self) -> None:
        async def stop() -> None:
            for server in self._servers.values():
                server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: "Awaitable[None]") -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    stage = Stage()
    try:
        yield stage
    finally:
        stage.close()
