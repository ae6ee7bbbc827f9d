"""The gateway under uvicorn, with the strict parser and without what a data plane does not want said or believed."""

import asyncio
import contextlib
import ctypes
import os
import socket
import struct

import uvicorn

from apps.gateway.app import Gateway
from apps.gateway.protocol import ClientConnection

DRAIN_SECONDS = 30

_SO_ATTACH_FILTER = 26  # Linux
_HANDSHAKE_SECONDS = 0.01  # for the last packet of a connection that has begun; on one host it takes none
_NO_NEW_CONNECTIONS = (  # a classic BPF program over the TCP head: (code, jump if true, jump if false, value)
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # is it a SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else let it pass
)


class Server(uvicorn.Server):
    """uvicorn's server, which loses nobody who had connected before it stopped to listen."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A listener that closes resets who is still in its queue, and a client cannot know whether it was heard.

        So first nobody gets into the queue any more: who knocks in these few milliseconds knocks again a second later,
        and is refused or finds the next server. Then everybody in the queue is taken in.
        """
        listeners = [socket.socket(fileno=os.dup(own.fileno())) for server in self.servers for own in server.sockets]
        for server in self.servers:
            server.close()
        for listener in listeners:
            let_nobody_in(listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        loop = asyncio.get_running_loop()
        for client in [client for listener in listeners for client in _take_in_and_close(listener)]:
            await loop.connect_accepted_socket(self._make_protocol, client)
        await super().shutdown(sockets)

    def _make_protocol(self) -> ClientConnection:
        return ClientConnection(self.config, self.server_state, self.lifespan.state)


def make_server(app: Gateway, host: str, port: int) -> Server:
    """A server whose ``run`` ends on SIGTERM: no new connections, while calls in flight come to their end.

    ``proxy_headers`` stays off: whoever connects could otherwise choose the address that wrong keys are counted by.
    """
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        loop="uvloop",
        http=ClientConnection,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        backlog=4096,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Server(config)


def let_nobody_in(listener: socket.socket) -> None:
    """Drop what asks for a new connection; where the kernel knows no such filter, a moment remains for a reset."""
    program = b"".join(struct.pack("=HBBI", *line) for line in _NO_NEW_CONNECTIONS)
    kept = ctypes.create_string_buffer(program)
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(kept)),
        )


def _take_in_and_close(listener: socket.socket) -> list[socket.socket]:
    """Everybody in the queue."""
    clients = []
    with listener:
        listener.setblocking(False)
        while True:
            try:
                clients.append(listener.accept()[0])
            except BlockingIOError:
                return clients
