"""Listening, the once-a-second sweep over connections, and the graceful end."""

import asyncio
import socket
import time
from typing import cast

from .connection import Connection
from .errors import StartError
from .exchange import Handler
from .log import write_log
from .settings import Settings
from .wire import Heads

BACKLOG = 2048
_GRACE_SECONDS = 0.5
_HELD_BODIES = 4  # largest bodies that may be in memory at once, all connections together


def open_socket(listen: str) -> socket.socket:
    """The inherited socket of ``fd:N``, or a new one for ``host:port``; ``StartError`` where neither can be."""
    if listen.startswith("fd:"):
        return _inherit_socket(listen)
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise StartError(f"SLIPWAY_LISTEN is {listen!r}: it has to be host:port or fd:N")
    try:
        info = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(info[0][4][:2], family=info[0][0], backlog=BACKLOG)
    except OSError as error:
        raise StartError(f"nothing can listen on {listen}: {error.strerror}", permanent=False) from error


def _inherit_socket(listen: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=int(listen.removeprefix("fd:")))
        sock.getsockname()
    except (OSError, ValueError) as error:
        raise StartError(f"SLIPWAY_LISTEN is {listen!r}, which is not an open socket: {error}") from error
    return sock


class Server:
    """One listening socket and its connections."""

    def __init__(self, settings: Settings, handler: Handler) -> None:
        self.handler = handler
        self.heads = Heads(settings.release)
        self.connections: set[Connection] = set()
        self.now = time.monotonic()
        self.max_body = settings.max_body
        self.held = 0
        self.max_held = settings.max_body * _HELD_BODIES
        self.idle_seconds = settings.idle_seconds
        self.receive_seconds = settings.receive_seconds
        self.draining = False
        self._listener: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        self._tick()

    def _tick(self) -> None:
        """Once a second: renew the date, and let every connection look at its clock."""
        self.now = time.monotonic()
        self.heads.tick()
        for connection in tuple(self.connections):
            connection.sweep()
        asyncio.get_running_loop().call_later(1.0, self._tick)

    async def drain(self, seconds: float) -> int:
        """Take no new connection, wait for what has been asked, and return how many connections had to be cut.

        Silent connections stay open for a moment: a request that is on its way on one of them would be lost otherwise.
        """
        self.draining = True
        cast(asyncio.Server, self._listener).close()
        started = time.monotonic()
        for connection in tuple(self.connections):
            connection.end_after_answers()
        while self.connections and (waited := time.monotonic() - started) < seconds:
            if waited > min(_GRACE_SECONDS, seconds / 2):
                for connection in tuple(self.connections):
                    connection.close_if_idle()
            await asyncio.sleep(0.02)
        cut = len(self.connections)
        for connection in tuple(self.connections):
            connection.abort()
        write_log("drained", cut=cut)
        return cut
