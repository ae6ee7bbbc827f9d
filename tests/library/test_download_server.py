"""Large versions on their way out of a real web server: nothing is copied on its disk, and its memory stays flat."""

import contextlib
import hashlib
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.library.test_tus_server import FACTS, LARGE, Server, serve, write_large

CHUNK = 1 << 20


@pytest.mark.parametrize("store", ["disk", "bucket"])
def test_a_large_version_leaves_without_a_copy_of_it_anywhere(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = request.getfixturevalue("bucket_settings") if store == "bucket" else {}
    source, got = write_large(tmp_path / "large.bin"), tmp_path / "got.zip"
    (tmp_path / "server" / "tmp").mkdir(parents=True)
    with serve(str(tmp_path / "server"), TMPDIR=str(tmp_path / "server" / "tmp"), **settings) as server:
        address = make_version(server, source)
        warm(server, address)
        begin_to_count(server)
        idle = server.peak_bytes()
        copies = download(server, address, got)
        assert server.peak_bytes() - idle < 8 << 20
    assert copies == 0
    with zipfile.ZipFile(got) as packed, packed.open("files/digits.onnx") as inside, source.open("rb") as sent:
        assert hashlib.file_digest(inside, "sha256").digest() == hashlib.file_digest(sent, "sha256").digest()


def make_version(server: Server, source: Path) -> str:
    """Upload the file and make a version of it; the address that the version is downloaded from."""
    uploader = server.client().uploader(file_path=str(source), chunk_size=LARGE, metadata=FACTS)
    uploader.upload()
    upload = urlsplit(str(uploader.url)).path.rstrip("/").rpartition("/")[2]
    models = "/api/v1/projects/digits-team/models/"
    call(server, "POST", models, json={"name": "digits", "task": "classification"})
    call(server, "POST", f"{models}digits/versions/", json={"upload": upload})
    return f"{models}digits/versions/1/download/"


def download(server: Server, address: str, target: Path) -> int:
    """Save the archive; the most bytes of files that the server wrote meanwhile, or holds open though they are gone."""
    before, most = written_bytes(server), 0
    with call(server, "GET", address, stream=True) as answer, target.open("wb") as file:
        for number, chunk in enumerate(answer.iter_content(CHUNK)):
            file.write(chunk)
            if number % 25 == 0:
                most = max(most, written_bytes(server) - before)
    assert target.stat().st_size > LARGE
    return most


def warm(server: Server, address: str) -> None:
    """One byte through the same code, so that what is loaded and made once is there."""
    call(server, "GET", address, params={"file": "digits.onnx"}, headers={"Range": "bytes=0-0"})


def written_bytes(server: Server) -> int:
    """Of all large files in the server's folder, and of those that it has open without a name."""
    nameless = [path for path in Path(f"/proc/{server.worker}/fd").iterdir() if is_nameless(path)]
    return sum(size for path in [*server.home.rglob("*"), *nameless] if (size := measure(path)) >= CHUNK)


def is_nameless(descriptor: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return str(descriptor.readlink()).endswith(" (deleted)")
    return False


def measure(path: Path) -> int:
    """Its bytes; 0 where it is no file, or was closed or removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def begin_to_count(server: Server) -> None:
    """Let the peak of the server's memory begin at what it has now."""
    Path(f"/proc/{server.worker}/clear_refs").write_text("5")


def call(server: Server, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    signed = {"Authorization": f"Bearer {server.keys['digits-team']}", **(headers or {})}
    answer = requests.request(method, server.url + path, headers=signed, timeout=120, **more)
    assert answer.ok, answer.text
    return answer
