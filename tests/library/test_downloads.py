"""Out again: whole versions with what proves them, single files that can be resumed, from either kind of store."""

import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.library.downloads import find_span
from apps.library.models import ModelVersion
from apps.library.store import Store
from tests.library.conftest import ONNX

Make = Callable[..., ModelVersion]
ADDRESS = "/api/v1/projects/digits-team/models/digits/versions/1/download/"
FILES = {"digits.onnx": ONNX, "weights/w.bin": bytes(range(256)) * 12_000}


@pytest.fixture
def dana(api: Callable[[str], APIClient]) -> APIClient:
    return api("dana")


@pytest.fixture(params=["disk", "bucket"])
def kept(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> None:
    if request.param == "bucket":
        store: Store = request.getfixturevalue("bucket")
        settings.SLIPWAY_STORE_URL = f"s3://models/{store.prefix}"  # type: ignore[attr-defined]


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_an_archive_proves_itself_offline(kept: None, dana: APIClient, upload_version: Make, tmp_path: Path) -> None:
    version = upload_version(FILES)
    answer = dana.get(ADDRESS)
    assert answer["Content-Disposition"] == 'attachment; filename="digits-v1.zip"'
    assert "sandbox" in answer["Content-Security-Policy"]
    packed = zipfile.ZipFile(io.BytesIO(body(answer)))
    assert packed.testzip() is None
    packed.extractall(tmp_path / "out")
    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    subprocess.run(check, cwd=tmp_path / "out", check=True, stdout=subprocess.DEVNULL)
    assert {name: (tmp_path / "out" / "files" / name).read_bytes() for name in FILES} == FILES
    manifest = json.loads(packed.read("slipway-manifest.json"))
    assert (manifest["model"], manifest["version"], manifest["digest"]) == ("digits", 1, version.digest)
    assert manifest["uploaded_by"] == "dana@example.com"
    (tmp_path / "out" / "files" / "digits.onnx").write_bytes(b"other")
    assert subprocess.run(check, cwd=tmp_path / "out", check=False, capture_output=True).returncode == 1


def test_the_page_sends_the_same(browser: Callable[[str], Client], upload_version: Make) -> None:
    upload_version()
    page = "/p/digits-team/models/digits/1/download/"
    names = zipfile.ZipFile(io.BytesIO(body(browser("vic").get(page)))).namelist()
    assert names == ["slipway-manifest.json", "SHA256SUMS", "files/digits.onnx"]
    assert body(browser("vic").get(page, {"file": "digits.onnx"})) == ONNX


def test_one_file_is_sent_as_it_is(dana: APIClient, upload_version: Make) -> None:
    upload_version(FILES)
    answer = dana.get(ADDRESS, {"file": "weights/w.bin"})
    assert body(answer) == FILES["weights/w.bin"]
    assert answer["Content-Disposition"] == 'attachment; filename="w.bin"'
    assert (answer["X-Content-Type-Options"], answer["Content-Length"]) == ("nosniff", str(len(FILES["weights/w.bin"])))
    assert dana.get(ADDRESS, {"file": "../secret"}).status_code == 404


def test_a_download_goes_on_where_it_broke_off(kept: None, dana: APIClient, upload_version: Make) -> None:
    upload_version(FILES)
    whole = FILES["weights/w.bin"]
    first = dana.get(ADDRESS, {"file": "weights/w.bin"})
    tag = {"If-Range": first["ETag"]}
    rest = dana.get(ADDRESS, {"file": "weights/w.bin"}, headers={"Range": "bytes=2000001-", **tag})
    assert (rest.status_code, body(rest)) == (206, whole[2_000_001:])
    assert rest["Content-Range"] == f"bytes 2000001-{len(whole) - 1}/{len(whole)}"
    inner = dana.get(ADDRESS, {"file": "weights/w.bin"}, headers={"Range": "bytes=5-9"})
    assert (inner.status_code, body(inner), inner["Content-Length"]) == (206, whole[5:10], "5")


def test_a_range_of_other_bytes_begins_anew_and_one_behind_the_end_is_refused(
    dana: APIClient, upload_version: Make
) -> None:
    upload_version()
    other = {"Range": "bytes=5-", "If-Range": '"of another version"'}
    assert dana.get(ADDRESS, {"file": "digits.onnx"}, headers=other).status_code == 200
    behind = dana.get(ADDRESS, {"file": "digits.onnx"}, headers={"Range": f"bytes={len(ONNX)}-"})
    assert (behind.status_code, behind["Content-Range"]) == (416, f"bytes */{len(ONNX)}")


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("", (0, 10)),
        ("bytes=0-", (0, 10)),
        ("bytes=0-0", (0, 1)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=-0", None),
        ("bytes=10-", None),
        ("bytes=5-3", (0, 10)),
        ("bytes=0-1,4-5", (0, 10)),
        ("lines=1-2", (0, 10)),
        ("bytes=-", (0, 10)),
    ],
)
def test_ranges_are_read_as_the_standard_says(header: str, span: tuple[int, int] | None) -> None:
    assert find_span(header, 10) == span
