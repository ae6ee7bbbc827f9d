"""The web process, as gunicorn runs it with our settings."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.controlplane.running import ROOT, find_free_port, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The process, which serves an application of the standard library, and its port."""
    port = find_free_port()
    around = {**os.environ, "SLIPWAY_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:controlplane.web"]
    command = [*gunicorn, "--bind", f"127.0.0.1:{port}", "wsgiref.simple_server:demo_app"]
    process = subprocess.Popen(command, cwd=ROOT, env=around)
    try:
        wait_until(lambda: ask(port).startswith(b"HTTP/1.1 200"), 30, what="the web process")
        yield process, port
    finally:
        process.kill()
        process.wait()


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(REQUEST)
    return client


def read(client: socket.socket) -> bytes:
    """The whole answer; raises ConnectionResetError where the server was never going to give one."""
    with client:
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def ask(port: int) -> bytes:
    try:
        return read(connect(port))
    except ConnectionRefusedError:
        return b""


def test_who_has_connected_before_it_stops_is_answered(web: tuple["subprocess.Popen[bytes]", int]) -> None:
    process, port = web
    (worker,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    os.kill(worker, signal.SIGSTOP)  # so that everybody waits in the queue
    clients = [connect(port) for _ in range(20)]
    process.terminate()
    os.kill(worker, signal.SIGCONT)
    with ThreadPoolExecutor(len(clients)) as readers:
        assert [answer[:15] for answer in readers.map(read, clients)] == [b"HTTP/1.1 200 OK"] * len(clients)
    assert process.wait(20) == 0
