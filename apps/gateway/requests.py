"""What of a request's head matters, and the closed grammar of addresses.

Nothing of the client's request line reaches a replica: the path that is sent on is put together from parts that matched
this grammar, which has no place for dot segments, doubled slashes or percent signs.
"""

import re
from functools import lru_cache
from itertools import count
from os import urandom
from typing import Any, NamedTuple

from apps.gateway.refusals import malformed

_NAME = rb"[A-Za-z0-9_-]{1,64}"
_MODEL = rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_ADDRESS = re.compile(
    rb"/(%s)/(%s)/v2(?:"
    rb"(?P<server>/?|/health/(?:live|ready)|/models/stats)"
    rb"|(?P<index>/repository/index)"
    rb"|(?P<model>/models/%s(?:/versions/%s)?)(?:(?P<infer>/infer)|(?P<about>/ready|/stats|/config)?))"
    % (_NAME, _NAME, _MODEL, _MODEL)
)
_LONGEST_PATH = 512

FORWARDED = (
    b"accept",
    b"accept-encoding",
    b"content-type",
    b"content-encoding",
    b"inference-header-content-length",
    b"traceparent",
)
_READ = frozenset(FORWARDED) | {
    b"authorization",
    b"content-length",
    b"forwarded",
    b"host",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-request-id",
    b"x-slipway-token",
}
_LISTS = frozenset({b"accept", b"accept-encoding", b"forwarded", b"x-forwarded-for"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ORIGIN = urandom(6).hex().encode()
_numbers = count(int.from_bytes(urandom(3), "big"))

UNKNOWN_LENGTH = -1


class Address(NamedTuple):
    """Where a call goes: an endpoint, and the protocol's path and method at a replica."""

    project: str
    endpoint: str
    path: bytes
    method: str


class Head(NamedTuple):
    """The headers that matter. ``forwarded`` is ready to be sent on; ``length`` may be UNKNOWN_LENGTH."""

    authorization: bytes
    request_id: bytes
    length: int
    forwarded: bytes
    token: bytes
    is_direct: bool  # no proxy says that it speaks for somebody else


@lru_cache(maxsize=2048)
def read_address(path: bytes) -> Address | None:
    """The address that a raw path names; None if it is outside the grammar."""
    found = _ADDRESS.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if found is None:
        return None
    project, endpoint = found[1].decode(), found[2].decode()
    calls_model = found["infer"] is not None or found["index"] is not None
    inner = path[found.end(2) :].rstrip(b"/")
    return Address(project, endpoint, inner, "POST" if calls_model else "GET")


def read_head(headers: list[tuple[bytes, bytes]], http_version: str) -> Head:
    """The headers that matter, each at most once; raises a 400 Refusal where they contradict."""
    read: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in read:
                value = _join(name, read[name], value)
            read[name] = value
    if b"host" not in read and http_version == "1.1":
        raise malformed("the Host header is missing")
    forwarded = [b"%s: %s\r\n" % (name, read[name]) for name in FORWARDED if name in read]
    return Head(
        read.get(b"authorization", b""),
        accept_request_id(read.get(b"x-request-id", b"")),
        _read_length(read),
        b"".join(forwarded),
        read.get(b"x-slipway-token", b""),
        b"forwarded" not in read and b"x-forwarded-for" not in read,
    )


def accept_request_id(offered: bytes) -> bytes:
    """The client's own id where it is sane, else a new one."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    return b"%s-%x" % (_ORIGIN, next(_numbers))


def read_request_id(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The id of a request whose head is otherwise of no use."""
    offered = [value for name, value in headers if name == b"x-request-id"]
    return accept_request_id(offered[0] if offered else b"")


def _join(name: bytes, first: bytes, second: bytes) -> bytes:
    if name not in _LISTS:
        raise malformed(f"the header {name.decode()} is given twice")
    return first + b", " + second


def _read_length(read: dict[bytes, bytes]) -> int:
    """The body's length; the parser has already refused a length that is no number or comes with chunks."""
    coding = read.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise malformed("the only transfer coding taken here is chunked")
        return UNKNOWN_LENGTH
    length: Any = read.get(b"content-length", b"0")
    if not length.isdigit():
        raise malformed("the Content-Length is not a number")
    return int(length)
