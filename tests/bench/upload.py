"""A large upload by tus, to a folder and to a bucket: how long it takes, and what memory and disk the server needs.

``python -m tests.bench.upload [GiB]`` (5 unless told otherwise) sends one file as the browser does, in pieces of
64 MiB, to a web server with one process. The bucket is a real S3 service (Swift, where it is installed and we are
root). Goal: the process stays within 100 MB of its idle size, and the bytes that are kept are those that were sent.
"""

import hashlib
import os
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.library.store.base import chunks_of, key_of
from tests.engines import buckets
from tests.library.test_tus_server import Server, serve

PIECE = 64 << 20
BLOCK = 1 << 20
GOAL = 100 << 20
FACTS = {"filename": "large.bin", "project": "digits-team"}
NOISE = os.urandom(BLOCK - 8)


def main() -> None:
    os.environ["SLIPWAY_REQUIRE"] = "swift,memcached"
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 5) * (1 << 30)) // BLOCK * BLOCK
    print(f"{'':8}{'GB':>8}{'seconds':>10}{'MB/s':>8}{'memory +MB':>12}{'on disk MB':>12}   bytes kept")
    measure("disk", size, {})
    with buckets.serve() as service:
        client: Any = service.client()
        client.create_bucket(Bucket="models")
        measure("bucket", size, service.settings(), client)


def measure(name: str, size: int, settings: dict[str, str], client: Any = None) -> None:
    """Send it, and print one line about it."""
    with tempfile.TemporaryDirectory(prefix="slipway-upload-") as folder, serve(folder, **settings) as server:
        Path(f"/proc/{server.worker}/clear_refs").write_text("5")  # the peak counts from here
        idle = server.peak_bytes()
        with largest(server.home / "uploads") as on_disk:
            begun = time.monotonic()
            digest = send(server, size)
            seconds = time.monotonic() - begun
        above = server.peak_bytes() - idle
        is_same = kept(server, digest, client) == digest
        figures = (
            f"{size / 1e9:8.2f}{seconds:10.1f}{size / 1e6 / seconds:8.0f}{above / 1e6:12.1f}{on_disk[0] / 1e6:12.0f}"
        )
        print(f"{name:8}{figures}   {'the same' if is_same else 'OTHERS'}", flush=True)
        assert is_same
        assert above < GOAL


def send(server: Server, size: int) -> str:
    """Upload so many bytes, no two blocks of which are alike; gives their sha256."""
    told = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in FACTS.items())
    begun = call(server, "POST", "/api/v1/uploads/", {"Upload-Length": str(size), "Upload-Metadata": told})
    path = urlsplit(begun.headers["Location"]).path
    whole = hashlib.sha256()
    for start in range(0, size, PIECE):
        count = min(PIECE, size - start)
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(start),
            "Content-Length": str(count),
        }
        answer = call(server, "PATCH", path, headers, blocks(start // BLOCK, count // BLOCK, whole))
        assert answer.headers["Upload-Offset"] == str(start + count)
    return whole.hexdigest()


def blocks(first: int, count: int, whole: Any) -> Iterator[bytes]:
    for number in range(first, first + count):
        block = number.to_bytes(8, "big") + NOISE
        whole.update(block)
        yield block


def call(server: Server, method: str, path: str, headers: dict[str, str], body: Any = None) -> HTTPResponse:
    line = HTTPConnection(urlsplit(server.url).netloc, timeout=1800)
    signed = {"Authorization": f"Bearer {server.keys['digits-team']}", "Tus-Resumable": "1.0.0", **headers}
    line.request(method, path, body, signed)
    answer = line.getresponse()
    said = answer.read()
    line.close()
    assert answer.status < 300, (answer.status, said)
    return answer


@contextmanager
def largest(folder: Path) -> Iterator[list[int]]:
    """The most bytes that lay in a folder while the block ran."""
    most, is_over = [0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            names = os.listdir(folder) if folder.is_dir() else []
            sizes = [(folder / name).stat().st_size for name in names if (folder / name).exists()]
            most[0] = max(most[0], sum(sizes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        is_over.set()
        thread.join()


def kept(server: Server, digest: str, client: Any) -> str:
    """The sha256 of what the store holds under this digest."""
    found = hashlib.sha256()
    if client:
        source = client.get_object(Bucket="models", Key=f"team/{key_of(digest)}")["Body"]
    else:
        source = (server.home / "artifacts" / key_of(digest)).open("rb")
    with source:
        for chunk in chunks_of(source):
            found.update(chunk)
    return found.hexdigest()


if __name__ == "__main__":
    main()
