"""How answers look on the wire, and the limits that requests are held to. Sizes are bytes, times seconds."""

import time
from email.utils import formatdate
from http import HTTPStatus

import orjson

MAX_HEAD = 16 * 1024
MAX_HEADERS = 100
MAX_CONNECTIONS = 4096
MAX_PIPELINED = 32  # requests that one connection may have unanswered before reading from it stops

BODY_PATIENCE = 3  # times as long as for a head, plus the time that the body takes at SLOWEST_RATE
SLOWEST_RATE = 16 * 1024  # bytes per second
WRITE_SECONDS = 30.0  # for a client that does not read its answer
SMALL_BODY = 64 * 1024  # worth reading to keep the connection of a refused request
LINGER_SECONDS = 2.0  # for a refused client to read why before its connection goes

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
BINARY = "application/octet-stream"

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
STATUS_LINES[499] = "HTTP/1.1 499 Client Closed Request\r\n"  # nobody reads it: the metrics do


class Heads:
    """The constant part of every answer's head, kept ready and renewed with the date once a second.

    ``get`` ends just before the content length's digits.
    """

    def __init__(self, release: str) -> None:
        self._release = f"X-Slipway-Release: {release}\r\n" if release else ""
        self._ready: dict[tuple[int, str], bytes] = {}
        self._second = 0

    def tick(self) -> None:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._ready.clear()

    def get(self, status: int, content_type: str) -> bytes:
        return self._ready.get((status, content_type)) or self._make(status, content_type)

    def _make(self, status: int, content_type: str) -> bytes:
        date = formatdate(self._second or time.time(), usegmt=True)
        head = (
            f"{STATUS_LINES[status]}Date: {date}\r\n{self._release}Content-Type: {content_type}\r\nContent-Length: "
        ).encode("latin-1")
        self._ready[status, content_type] = head
        return head


def error_body(message: str) -> bytes:
    """The protocol's error object."""
    return orjson.dumps({"error": message})
