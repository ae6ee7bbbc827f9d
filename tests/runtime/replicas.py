"""A running server as a driver would run it, and a plain socket to talk to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Replica:
    """One server process; ``log`` collects both of its outputs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def infer(self, model: str, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("POST", f"/v2/models/{model}/infer", json.dumps(document).encode(), headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def environment(bundle: Path, **settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "SLIPWAY_BUNDLE": str(bundle), "SLIPWAY_RELEASE": "r-7", **settings}


@contextmanager
def start(bundle: Path, *, wait: bool = True, **settings: str) -> Iterator[Replica]:
    """Start the server of a bundle on an inherited socket, as the process driver does; killed at the end."""
    log = bundle / "log.txt"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "slipway_runtime"],
            cwd=bundle,
            env=environment(bundle, SLIPWAY_LISTEN=f"fd:{listener.fileno()}", **settings),
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        replica = Replica(process, listener.getsockname()[1], log)
    try:
        if wait:
            until_ready(replica)
        yield replica
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def until_ready(replica: Replica) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert replica.process.poll() is None, replica.log.read_text()
        if any(event["event"] == "ready" for event in replica.events()):
            return
        time.sleep(0.01)
    raise AssertionError(f"not ready in time: {replica.log.read_text()}")


def run_to_end(bundle: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a server that is expected to give up by itself."""
    return subprocess.run(
        [sys.executable, "-m", "slipway_runtime"],
        cwd=bundle,
        env=environment(bundle, **{"SLIPWAY_LISTEN": "127.0.0.1:0", **settings}),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def exchange(replica: Replica, *pieces: bytes) -> bytes:
    """Send pieces on one connection, close it for writing and return everything that comes back."""
    with replica.connect() as sock:
        for piece in pieces:
            try:
                sock.sendall(piece)
            except OSError:  # the server may have closed already, and what it said is what counts
                break
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    pieces = []
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def read_answer(sock: socket.socket) -> Answer:
    """One answer with a content length, from a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"the connection ended early: {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers["content-length"]):
        piece = sock.recv(65536)
        assert piece, "the connection ended inside a body"
        body += piece
    return Answer(int(lines[0].split()[1]), headers, body)
