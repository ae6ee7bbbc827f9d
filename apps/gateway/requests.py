"""What of a request's head matters, and the closed grammar of addresses.

Nothing of the client's request line reaches a replica: the path that is sent on is put together from parts that matched
this grammar, which has no place for dot segments, doubled slashes or percent signs.
"""

import re
from functools import lru_cache
from itertools import count
from os import urandom
from typing import NamedTuple

from apps.gateway.refusals import malformed

_NAME = rb"[A-Za-z0-9_-]{1,64}"
_MODEL = rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_ADDRESS = re.compile(
    rb"/(%s)/(%s)/v2(?:"
    rb"(?P<server>/?|/health/(?:live|ready)|/models/stats)"
    rb"|(?P<repository>/repository/(?:index|models/%s/(?:un)?load))"
    rb"|/models/(?P<model>%s)(?:/versions/(?P<version>%s))?(?:(?P<infer>/infer)|(?P<about>/ready|/stats))?)"
    % (_NAME, _NAME, _MODEL, _MODEL, _MODEL)
)
_LONGEST_PATH = 512

FORWARDED = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"content-type",
        b"content-encoding",
        b"inference-header-content-length",
        b"traceparent",
    }
)
_SINGLE = FORWARDED - {b"accept", b"accept-encoding"} | {
    b"authorization",
    b"content-length",
    b"host",
    b"transfer-encoding",
    b"x-request-id",
    b"x-slipway-token",
}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ORIGIN = urandom(6).hex().encode()
_numbers = count(int.from_bytes(urandom(3), "big"))

UNKNOWN_LENGTH = -1


class Address(NamedTuple):
    """Where a call goes: an endpoint, and the protocol's path and method at a replica.

    ``version`` is empty where the path names none; ``is_metadata`` is for the address that describes a model.
    """

    project: str
    endpoint: str
    path: bytes
    method: str
    model: str
    version: str
    is_metadata: bool


class Head(NamedTuple):
    """The headers that matter. ``forwarded`` is ready to be sent on; ``length`` may be UNKNOWN_LENGTH."""

    authorization: bytes
    request_id: bytes
    length: int
    forwarded: bytes
    all: dict[bytes, bytes]


@lru_cache(maxsize=2048)
def read_address(path: bytes) -> Address | None:
    """The address that a raw path names; None if it is outside the grammar."""
    found = _ADDRESS.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if found is None:
        return None
    project, endpoint = found[1].decode(), found[2].decode()
    model, version = (found["model"] or b"").decode(), (found["version"] or b"").decode()
    is_metadata = bool(model) and found["infer"] is None and found["about"] is None
    method = "GET" if found["infer"] is None and found["repository"] is None else "POST"
    inner = path[found.end(2) :].rstrip(b"/")
    return Address(project, endpoint, inner, method, model, version, is_metadata)


def read_head(headers: list[tuple[bytes, bytes]], http_version: str) -> Head:
    """The headers that matter, each at most once; raises a 400 Refusal where they contradict."""
    read = dict(headers)
    if len(read) != len(headers):
        read = _join_repeated(headers)
    if http_version != "1.1" and http_version != "1.0":
        raise malformed("only HTTP/1.1 and HTTP/1.0 are spoken here")
    if b"host" not in read and http_version == "1.1":
        raise malformed("the Host header is missing")
    return Head(
        read.get(b"authorization", b""),
        accept_request_id(read.get(b"x-request-id", b"")),
        _read_length(read),
        b"".join([b"%s: %s\r\n" % header for header in read.items() if header[0] in FORWARDED]),
        read,
    )


def read_client(head: Head, peer: str, proxies: int) -> str:
    """The client's address; behind N trusted proxies, the N-th from the right of X-Forwarded-For."""
    named = head.all.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    return named[-proxies].strip() if 0 < proxies <= len(named) else peer


def accept_request_id(offered: bytes) -> bytes:
    """The client's own id where it is sane, else a new one."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    return b"%s-%x" % (_ORIGIN, next(_numbers))


def read_request_id(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The id of a request whose head is otherwise of no use."""
    offered = [value for name, value in headers if name == b"x-request-id"]
    return accept_request_id(offered[0] if offered else b"")


def _join_repeated(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Lists may come in parts; of what means one thing only, a second is refused."""
    read: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in read and name in _SINGLE:
            raise malformed(f"the header {name.decode()} is given twice")
        read[name] = read[name] + b", " + value if name in read else value
    return read


def _read_length(read: dict[bytes, bytes]) -> int:
    """The body's length; the parser has already refused a length that is no number or comes with chunks."""
    if b"transfer-encoding" in read:
        if read[b"transfer-encoding"].lower() != b"chunked":
            raise malformed("the only transfer coding taken here is chunked")
        return UNKNOWN_LENGTH
    return int(read.get(b"content-length", b"0"))
