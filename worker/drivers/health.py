"""Whether a replica is ready, and whether it is the one that we mean."""

import hashlib
import hmac
import http.client
import json
import secrets

TIMEOUT_SECONDS = 2.0


def is_ready(address: str, secret: str, subject: str) -> bool | None:
    """Ask the replica at ``host:port`` whether it is ready, and have it prove which release it serves.

    None where it says nothing in time: it is ill, or so busy that it has not come to it.

    The proof is HMAC-SHA256 under the replica's own secret over the approved subject and a fresh nonce, so neither a
    stranger on the port nor an older release can pass for it.
    """
    nonce = secrets.token_hex(16)
    expected = hmac.new(secret.encode(), f"{subject}:{nonce}".encode(), hashlib.sha256).hexdigest()
    try:
        status, _body = _get(address, secret, "/v2/health/ready")
        if status != 200:
            return False
        status, body = _get(address, secret, f"/slipway/identity?nonce={nonce}")
        return status == 200 and hmac.compare_digest(json.loads(body).get("proof", ""), expected)
    except TimeoutError:
        return None
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _get(address: str, secret: str, path: str) -> tuple[int, bytes]:
    host, _colon, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"X-Slipway-Secret": secret})
        response = connection.getresponse()
        return response.status, response.read(1 << 20)
    finally:
        connection.close()
