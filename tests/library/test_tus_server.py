"""Resumable uploads through a real web server: a stock client, broken connections, and memory that stays flat."""

import hashlib
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from apps.library.store import Store
from apps.library.store.base import hash_file, hash_stream, key_of
from tests.library.stage import SMALL_QUOTA

DATA = random.Random(7).randbytes(300_000)
FACTS = {"filename": "digits.onnx", "project": "digits-team"}
LARGE = 150 << 20


@dataclass(frozen=True)
class Server:
    """One gunicorn with one worker process on a data folder of its own."""

    url: str
    home: Path
    keys: dict[str, str]
    worker: int

    def client(self, project: str = "digits-team") -> TusClient:
        return TusClient(f"{self.url}/api/v1/uploads/", headers={"Authorization": f"Bearer {self.keys[project]}"})

    def holds(self, data: bytes) -> bool:
        path = self.home / "artifacts" / key_of(hashlib.sha256(data).hexdigest())
        return path.is_file() and path.read_bytes() == data

    def peak_bytes(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.worker}/status").read_text())
        assert found
        return int(found[1]) * 1024


@contextmanager
def serve(folder: str, **settings: str) -> Iterator[Server]:
    """A server on this data folder, whose tables are made on the first start."""
    environment = {**os.environ, **settings, "SLIPWAY_HOME": folder, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    keys = Path(folder, "keys.json")
    if not keys.exists():
        Path(folder, "static").mkdir()
        stage = [sys.executable, "-m", "tests.library.stage"]
        staged = subprocess.run(stage, env=environment, capture_output=True, check=True, text=True)
        keys.write_text(staged.stdout)
    port = free_port()
    options = f"--config python:tests.library.impatient --bind 127.0.0.1:{port} --no-control-socket"
    command = f"-m gunicorn {options} --worker-class gthread --threads 8 controlplane.wsgi"
    web = subprocess.Popen([sys.executable, *command.split()], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        requests.options(f"http://127.0.0.1:{port}/api/v1/uploads/", timeout=60)  # by now everything is loaded
        yield Server(f"http://127.0.0.1:{port}", Path(folder), json.loads(keys.read_text()), only_child(web.pid))
    finally:
        web.terminate()
        web.wait(timeout=20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="slipway-server-") as folder, serve(folder) as running:
        yield running


def test_a_stock_tus_client_uploads_with_checksums(server: Server) -> None:
    data = os.urandom(200_000)
    uploader = server.client().uploader(
        file_stream=io.BytesIO(data), chunk_size=70_000, metadata=FACTS, upload_checksum=True
    )
    uploader.upload()
    assert server.holds(data)


def test_a_stock_tus_client_resumes_where_it_stopped(server: Server) -> None:
    data = os.urandom(200_000)
    uploader = server.client().uploader(file_stream=io.BytesIO(data), chunk_size=50_000, metadata=FACTS)
    uploader.upload(stop_at=150_000)
    again = server.client().uploader(file_stream=io.BytesIO(data), chunk_size=50_000, url=uploader.url)
    assert again.offset == 150_000
    again.upload()
    assert server.holds(data)


def test_a_stock_tus_client_is_told_why_it_is_refused(server: Server) -> None:
    with pytest.raises(TusCommunicationError) as refusal:
        server.client().uploader(file_stream=io.BytesIO(DATA), metadata={**FACTS, "filename": "a b"}).upload()
    assert refusal.value.status_code == 422
    assert b"name of a file" in refusal.value.response_content


@pytest.mark.parametrize("cut_at", [0, 1, 65_535, 65_536, 65_537, *range(20_000, 300_000, 20_000), 299_999])
def test_what_arrived_before_a_connection_broke_is_kept(server: Server, cut_at: int) -> None:
    data = os.urandom(300_000)
    uploader = server.client().uploader(file_stream=io.BytesIO(data), metadata=FACTS)
    uploader.set_url(uploader.create_url())
    send_and_hang_up(server, str(uploader.url), data, cut_at)
    again = server.client().uploader(file_stream=io.BytesIO(data), url=uploader.url)
    assert again.offset == cut_at
    again.upload()
    assert server.holds(data)


def test_a_line_that_fell_silent_does_not_hold_the_upload(server: Server) -> None:
    """A laptop that was closed says no goodbye; when it is back, it goes on over another line."""
    data = os.urandom(300_000)
    uploader = server.client().uploader(file_stream=io.BytesIO(data), metadata=FACTS)
    uploader.set_url(uploader.create_url())
    with begin_to_send(server, str(uploader.url), data, 200_000):
        deadline = time.monotonic() + 30
        while not 0 < uploader.get_offset() <= 200_000:
            assert time.monotonic() < deadline, "the silent connection still holds the upload"
            time.sleep(0.1)
        again = server.client().uploader(file_stream=io.BytesIO(data), url=uploader.url)
        again.upload()
    assert server.holds(data)


def test_memory_stays_flat_while_a_large_file_arrives(server: Server, tmp_path: Path) -> None:
    path = write_large(tmp_path / "large.bin")
    before = server.peak_bytes()
    server.client().uploader(file_path=str(path), chunk_size=LARGE, metadata=FACTS).upload()
    assert server.peak_bytes() - before < 24 << 20
    assert list((server.home / "uploads").iterdir()) == []


def test_a_bucket_gets_the_parts_of_a_large_file_across_a_restart(
    bucket_settings: dict[str, str], bucket: Store, tmp_path: Path
) -> None:
    """The server's memory and disk hold about one part; the next process goes on where the bucket's list ends."""
    path = write_large(tmp_path / "large.bin", 72 << 20)
    home = tmp_path / "server"
    home.mkdir()
    with serve(str(home), **bucket_settings) as server, path.open("rb") as file:
        uploader = server.client().uploader(file_stream=file, chunk_size=18 << 20, metadata=FACTS)
        uploader.upload_chunk()
        before = server.peak_bytes()
        uploader.upload(stop_at=54 << 20)
        assert sum(part.stat().st_size for part in (home / "uploads").iterdir()) == 6 << 20
        assert server.peak_bytes() - before < 12 << 20
        os.kill(server.worker, signal.SIGKILL)
    with serve(str(home), **bucket_settings) as server, path.open("rb") as file:
        place = f"{server.url}{urlsplit(str(uploader.url)).path}"
        again = server.client().uploader(file_stream=file, chunk_size=18 << 20, url=place)
        assert again.offset == 54 << 20
        again.upload()
    assert list((home / "uploads").iterdir()) == []
    stored = hash_file(path)
    [kept] = bucket.client.list_objects_v2(Bucket="models")["Contents"]
    assert (kept["Key"], kept["Size"]) == (f"team/{key_of(stored.sha256)}", stored.size)
    assert hash_stream(bucket.client.get_object(Bucket="models", Key=kept["Key"])["Body"]) == stored


def test_reservations_at_the_same_moment_stay_within_the_quota(server: Server) -> None:
    def reserve(_turn: int) -> bool:
        uploader = server.client("small").uploader(
            file_stream=io.BytesIO(bytes(SMALL_QUOTA // 3)), metadata={**FACTS, "project": "small"}
        )
        try:
            return bool(uploader.create_url())
        except TusCommunicationError as refusal:
            return refusal.status_code != 422

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(reserve, range(8))) == 3


def write_large(path: Path, size: int = LARGE) -> Path:
    with path.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(4, "big") * (1 << 18))
    return path


def send_and_hang_up(server: Server, url: str, data: bytes, cut_at: int) -> None:
    """Announce all of the data, send the first part of it, and wait until the server has seen us leave."""
    with begin_to_send(server, url, data, cut_at) as line:
        line.shutdown(socket.SHUT_WR)
        while line.recv(65536):
            pass


def begin_to_send(server: Server, url: str, data: bytes, until: int) -> socket.socket:
    """A connection on which all of the data was announced and the first part of it sent."""
    address = urlsplit(url)
    line = socket.create_connection((address.hostname or "", address.port or 80), timeout=20)
    line.sendall(
        f"PATCH {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {server.keys['digits-team']}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Length: {len(data)}\r\nContent-Type: application/offset+octet-stream\r\n\r\n".encode()
        + data[:until]
    )
    return line


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the web server did not start"
            time.sleep(0.05)


def only_child(pid: int) -> int:
    deadline = time.monotonic() + 30
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        assert time.monotonic() < deadline, "the web server has no worker"
        time.sleep(0.05)
    return int(children[0])
