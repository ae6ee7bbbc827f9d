"""Requests that bring too much: refused by what they announce, with nothing of them read."""

import io
import json
import socket
import tempfile
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from rest_framework.exceptions import ParseError

from apps.accounts import services as accounts
from apps.accounts.models import Project
from apps.core.errors import TooLarge
from apps.core.parsers import StrictJSONParser
from tests.cast import Cast
from tests.library.test_tus_server import serve

GIGABYTES = 5 << 30
MODELS = "/api/v1/projects/digits-team/models/"
VERSIONS = f"{MODELS}digits/versions/"
FORM = "multipart/form-data; boundary=xyz"
UPLOAD_PAGE = "/p/digits-team/upload/"


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("The body was read.")


def announce(client: Client, path: str, kind: str = FORM, **meta: str) -> Any:
    """The answer to a request of gigabytes."""
    told: dict[str, Any] = {"CONTENT_LENGTH": str(GIGABYTES), "wsgi.input": Unread(), **meta}
    return client.generic("POST", path, b"", content_type=kind, **told)


def bearer(cast: Cast, scope: str = "upload") -> str:
    issued = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="CI", scopes=[scope])
    return f"Bearer {issued.text}"


@pytest.fixture
def dana(cast: Cast) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.user("dana"))
    return client


def test_a_json_body_of_gigabytes_is_refused_unread(cast: Cast, client: Client) -> None:
    answer = announce(client, MODELS, "application/json", HTTP_AUTHORIZATION=bearer(cast))
    problem = json.loads(answer.content)
    assert (answer.status_code, problem["status"], problem["title"]) == (413, 413, "Too large")
    assert "10.0\xa0MB" in problem["detail"]


@pytest.mark.parametrize("path", ["/accounts/login/", "/setup/x/", "/profile/choose/"])
def test_forms_of_strangers_are_refused_unread(client: Client, db: None, path: str) -> None:
    client.cookies["slipway_csrf"] = "a" * 32
    answer = announce(client, path)
    assert (answer.status_code, "10.0\xa0MB" in answer.content.decode()) == (413, True)


def test_an_upload_of_strangers_ends_at_the_door_unread(client: Client, db: None) -> None:
    client.cookies["slipway_csrf"] = "a" * 32
    assert announce(client, UPLOAD_PAGE).status_code == 302
    assert announce(client, VERSIONS).status_code == 401


def test_a_form_beyond_the_quota_is_refused_unread(cast: Cast, client: Client, dana: Client) -> None:
    Project.objects.filter(pk=cast.project.pk).update(quota_bytes=1 << 30)
    answer = announce(client, VERSIONS, HTTP_AUTHORIZATION=bearer(cast))
    assert (answer.status_code, "1.0\xa0GB" in json.loads(answer.content)["detail"]) == (413, True)
    answer = announce(dana, UPLOAD_PAGE)
    assert (answer.status_code, "1.0\xa0GB" in answer.content.decode()) == (413, True)


def test_a_form_is_not_read_for_its_token(dana: Client) -> None:
    assert announce(dana, VERSIONS).status_code == 403


def test_the_upload_page_asks_for_its_token(dana: Client) -> None:
    assert dana.post(UPLOAD_PAGE, {"model": "digits"}).status_code == 403


def test_who_may_not_upload_is_refused_before_the_form_is_read(cast: Cast, client: Client) -> None:
    assert announce(client, VERSIONS, HTTP_AUTHORIZATION=bearer(cast, "read")).status_code == 403


def test_a_real_server_refuses_before_the_body_comes() -> None:
    with tempfile.TemporaryDirectory() as folder, serve(folder) as server:
        told = {"Authorization": f"Bearer {server.keys['small']}", "Content-Length": str(GIGABYTES)}
        small = "/api/v1/projects/small/models/"
        assert speak(server.url, small, {**told, "Content-Type": "application/json"}) == 413
        assert speak(server.url, f"{small}digits/versions/", {**told, "Content-Type": FORM}) == 413
        page = {**told, "Content-Type": FORM, "Accept": "application/json"}
        assert speak(server.url, "/accounts/login/", page) == 413
        chunked = {"Authorization": told["Authorization"], "Transfer-Encoding": "chunked"}
        assert speak(server.url, small, {**chunked, "Content-Type": "application/json"}) == 411


def speak(url: str, path: str, headers: dict[str, str]) -> int:
    """The status of the answer to a request whose body never comes."""
    host, port = str(urlsplit(url).hostname), urlsplit(url).port or 80
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection((host, port), timeout=10) as line:
        line.sendall("\r\n".join(lines).encode())
        return int(line.recv(12).split()[1])


class Endless(io.BytesIO):
    """A body that never ends, and how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size, "read without a limit"
        self.taken += size
        return b" " * size


def test_a_body_that_never_ends_is_read_up_to_the_limit(settings: Any) -> None:
    body = Endless()
    with pytest.raises(TooLarge):
        StrictJSONParser().parse(body)
    assert body.taken == settings.SLIPWAY_BODY_MAX_BYTES + 1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000_000,
        "[" * 65 + "]" * 65,
        '{"a":' * 65 + "1" + "}" * 65,
        "[" + "0," * 4_900_000 + "0]",
        '{"a": ' + "9" * 9_000_000 + "}",
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '{"a": "\\u0000"}',
        '{"\\ud800": 1}',
        '{"a": "\\uDFff"}',
        "\ufeff{}",
        "",
    ],
    ids=range(13),
)
def test_odd_bodies_are_refused_at_once(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(ParseError):
        StrictJSONParser().parse(io.BytesIO(text.encode()))
    assert time.perf_counter() - begun < 0.5


def test_right_bodies_are_read() -> None:
    deep = b"[" * 64 + b"]" * 64
    assert StrictJSONParser().parse(io.BytesIO(deep)) is not None
    odd = StrictJSONParser().parse(io.BytesIO(b'{"a": "' + b"[" * 70 + b'\\ud83d\\ude00"}'))
    assert odd["a"].endswith("\U0001f600")
