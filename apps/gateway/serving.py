"""The gateway under uvicorn, with the strict parser and without what a data plane does not want said or believed."""

import asyncio
import os
import socket

import uvicorn

from apps.gateway.app import Gateway
from apps.gateway.protocol import ClientConnection

DRAIN_SECONDS = 30


class Server(uvicorn.Server):
    """uvicorn's server, which loses nobody who had connected before it stopped to listen."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A listener that closes resets who is still in its queue, and a client cannot know whether it was heard."""
        listeners = [socket.socket(fileno=os.dup(own.fileno())) for server in self.servers for own in server.sockets]
        for server in self.servers:
            server.close()
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


def _take_in_and_close(listener: socket.socket) -> list[socket.socket]:
    """Everybody in the queue; between the last of them and the end of the listener there is next to no time."""
    clients = []
    with listener:
        listener.setblocking(False)
        while True:
            try:
                clients.append(listener.accept()[0])
            except BlockingIOError:
                return clients
