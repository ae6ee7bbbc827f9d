"""The gateway under uvicorn, with the strict parser and without what a data plane does not want said or believed."""

import uvicorn

from apps.gateway.app import Gateway
from apps.gateway.protocol import ClientConnection

DRAIN_SECONDS = 30


def make_server(app: Gateway, host: str, port: int) -> uvicorn.Server:
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
    return uvicorn.Server(config)
