"""A gateway process without a database: ``python -m tests.gateway.serve PORT HOME``.

Its snapshot is ``HOME/source.json``, read anew every time; while that file is missing, "the database is away". Limits
that a test wants otherwise stand in ``HOME/limits.json``, beside how many ``proxies`` are trusted, and a Redis to share
rates by in ``SLIPWAY_REDIS_URL``.
"""

import json
import logging
import os
import sys
from pathlib import Path

from apps.gateway.app import create_app
from apps.gateway.config import GatewaySettings, Limits
from apps.gateway.protocol import ClientConnection
from apps.gateway.serving import make_server
from apps.gateway.tables import from_json

PEPPER = b"pepper of the tests"
TOKEN = "token-of-the-tests"


def main(port: int, home: Path) -> None:
    logging.basicConfig(level=logging.INFO)
    wanted = json.loads((home / "limits.json").read_text())
    proxies = wanted.pop("proxies", 0)
    limits = Limits(**wanted)
    ClientConnection.limits = limits
    redis = os.environ.get("SLIPWAY_REDIS_URL", "")
    settings = GatewaySettings(f"test:{port}", home / "gateway", [PEPPER], TOKEN, redis, limits, proxies)
    app = create_app(settings, lambda: from_json((home / "source.json").read_bytes()))
    make_server(app, "127.0.0.1", port).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
