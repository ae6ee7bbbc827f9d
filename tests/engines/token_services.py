"""A token service for a registry, as hosted registries have one: who shows the password gets a short-lived token.

Protocol: distribution's ``spec/auth/token.md`` and ``jwt.md``.
"""

import base64
import contextlib
import http.server
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.engines.certificates import Authority
from tests.engines.registries import PASSWORD, USER

_ISSUER, _SERVICE = "slipway-tests", "registry"


@dataclass
class TokenService:
    """Where tokens are given out, and for what they were asked so far."""

    url: str
    folder: Path
    asked: list[str] = field(default_factory=list)  # scopes

    @property
    def auth(self) -> str:
        """The part of a registry's configuration that trusts these tokens (``serve_registry(auth=…)``)."""
        words = (
            f"realm: {self.url}, service: {_SERVICE}, issuer: {_ISSUER}, rootcertbundle: {self.folder}/authority.pem"
        )
        return f"  token: {{{words}}}"


@contextlib.contextmanager
def serve_tokens(folder: Path) -> Iterator[TokenService]:
    """A token service on the loopback for as long as the block runs."""
    authority = Authority("Token service")
    pair = authority.server("127.0.0.1")
    (folder / "authority.pem").write_text(authority.cert)
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate(pair.cert.encode()).public_bytes(serialization.Encoding.DER)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            is_known = self.headers.get("Authorization") == wanted
            service.asked.extend(scopes)
            body = json.dumps({"token": _token(key, certificate, scopes)} if is_known else {}).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to the terminal."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        service = TokenService(f"http://127.0.0.1:{server.server_address[1]}/token", folder)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield service
        server.shutdown()


def _token(key: ec.EllipticCurvePrivateKey, certificate: bytes, scopes: list[str]) -> str:
    now = int(time.time())
    head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
    claims = {
        "iss": _ISSUER, "sub": USER, "aud": _SERVICE, "iat": now, "nbf": now - 5, "exp": now + 300,
        "jti": uuid.uuid4().hex, "access": [_access(scope) for scope in scopes],
    }  # fmt: skip
    signed = f"{_encode(json.dumps(head).encode())}.{_encode(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _access(scope: str) -> dict[str, Any]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
