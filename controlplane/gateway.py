"""The gateway process: ``python -m controlplane.gateway`` on ``SLIPWAY_GATEWAY_HOST`` and ``SLIPWAY_GATEWAY_PORT``.

SIGTERM ends it gently: no new connections, calls in flight come to their end, uncollected windows stay on disk.
"""

import os
import resource
import socket

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()

from apps.gateway.app import create_app  # noqa: E402 - the tables exist only once Django is set up
from apps.gateway.config import GatewaySettings  # noqa: E402
from apps.gateway.serving import make_server  # noqa: E402
from apps.gateway.snapshot import load_snapshot  # noqa: E402


def read_settings(port: int) -> GatewaySettings:
    """This process's settings; gateways that share a data folder are told apart by their machines and ports."""
    host = socket.gethostname()[:30]
    return GatewaySettings(
        name=f"{host}:{port}",
        home=settings.SLIPWAY_HOME / "gateways" / f"{host}-{port}",
        peppers=settings.SLIPWAY_PEPPERS,
        internal_token=settings.SLIPWAY_INTERNAL_TOKEN,
        redis_url=settings.SLIPWAY_REDIS_URL,
        proxies=settings.SLIPWAY_GATEWAY_PROXIES,
    )


def main() -> None:
    """Serve until a signal says otherwise."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every call in flight takes two
    host, port = os.environ.get("SLIPWAY_GATEWAY_HOST", "127.0.0.1"), settings.SLIPWAY_GATEWAY_PORT
    app = create_app(read_settings(port), load_snapshot)
    make_server(app, host, port).run()


if __name__ == "__main__":
    main()
