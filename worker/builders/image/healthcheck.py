"""Ask the server in this container whether it is ready. Cargo: the engine runs it inside, with the standard library."""

import http.client
import os
import sys
from pathlib import Path


def main() -> int:
    secret = os.environ.get("SLIPWAY_SECRET_FILE", "")
    headers = {"X-Slipway-Secret": Path(secret).read_text().strip()} if secret else {}
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=4)
    try:
        connection.request("GET", "/v2/health/ready", headers=headers)
        return int(connection.getresponse().status != http.client.OK)
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
