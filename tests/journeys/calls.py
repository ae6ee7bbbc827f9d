"""Programs: plain HTTP calls of the API and the gateway, and the traffic of a client that never stops."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def call(
    url: str, *, key: str = "", method: str = "", body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request on a connection of its own; ``body`` goes as it is if it is bytes, else as JSON."""
    address = urlsplit(url)
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}) | (headers or {})
    connection = HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_SECONDS)
    try:
        path = f"{address.path}?{address.query}" if address.query else address.path
        connection.request(method or ("GET" if body is None else "POST"), path, content, sent)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def wait_until(condition: Callable[[], Any], seconds: float, *, what: str) -> Any:
    """The first true value of ``condition``; asks again until ``seconds`` are over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


@contextmanager
def steady_traffic(url: str, key: str, body: Any) -> Iterator[list[int]]:
    """One call after another, about ten a second; the list fills with the statuses."""
    statuses: list[int] = []
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.1):
            statuses.append(call(url, key=key, body=body).status)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join(PATIENCE_SECONDS)


def mistype(key: str) -> str:
    """The key with another last letter."""
    return f"{key[:-1]}{'x' if key[-1] != 'x' else 'y'}"
