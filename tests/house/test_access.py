"""Every route, by every method, for everybody: what ``access.txt`` says, and nothing else."""

import base64
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.http import HttpResponseBase
from django.template import Template
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.models import User
from tests.cast import Cast
from tests.house.everything import furnish, gather_people

TEXT = (Path(__file__).parent / "access.txt").read_text()
LINES = [line.split() for line in TEXT.splitlines() if line and not line.startswith("#")]
TABLE = {name: dict(zip(cells[::2], cells[1::2], strict=True)) for name, *cells in LINES}
LETTERS = "VDROASIN"
OPEN = {"health", "metrics", "schema", "api_docs", "site:choose", "site:invitation"}
BY_LINK = {"site:setup"}  # open to whoever has the one link, which is used up as soon as there are people
WRITES = ("POST", "PATCH", "PUT", "DELETE")
QUERIES = {"accounts_api:members": "?email=vic@example.com"}
CONVERTERS = ("", "slug:", "str:", "int:", "uuid:")
SHARED = {f"targets:target{verb}" for verb in ("", "_check", "_edit", "_enable", "_disable")}  # by every project
SHARED |= {"targets:target_edit_try", "targets:trial", "targets:node_drain", "targets:node_undrain", "deployments:node"}
WRONG_METHOD, MAY_NOT, MISSING, SIGN_IN = 405, 403, 404, 401


def find_routes(resolver: URLResolver, before: str = "/", namespace: str = "") -> Iterator[tuple[str, str]]:
    """The name and the address of every route of ours; django-allauth's, and those that only wrap them, are its own."""
    for entry in resolver.url_patterns:
        address = f"{before}{entry.pattern}"
        if isinstance(entry, URLResolver) and address != "/accounts/":
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from find_routes(entry, address, inner)
        elif isinstance(entry, URLPattern) and entry.name:
            yield f"{namespace}{entry.name}", address


ROUTES = dict(find_routes(get_resolver()))
NAMESPACES = sorted({name.rpartition(":")[0] for name in TABLE})


class House:
    """The furnished project, and people who try its doors."""

    def __init__(self, cast: Cast) -> None:
        self.furniture = furnish(cast)
        self.clients = {letter: sign_in(user) for letter, user in gather_people(cast).items()}

    def address(self, name: str, /, **other: Any) -> str:
        values: dict[str, Any] = {}
        for beginning in sorted(self.furniture.places, key=len):
            if name.startswith(beginning):
                values |= self.furniture.places[beginning]
        address = ROUTES[name]
        for key, value in (values | other).items():
            for converter in CONVERTERS:
                address = address.replace(f"<{converter}{key}>", str(value))
        return address + QUERIES.get(name, "")

    def knock(self, letter: str, name: str, method: str, **other: Any) -> int:
        """The status, and nothing that stays changed; being sent to the sign-in page counts as 401."""
        with transaction.atomic():
            answer = self.send(self.clients[letter], name, method, **other)
            transaction.set_rollback(True)
        return SIGN_IN if asks_to_sign_in(answer) else answer.status_code

    def send(self, client: Client, name: str, method: str, /, **other: Any) -> HttpResponseBase:
        body = self.furniture.bodies.get(name, {}) if method == "POST" else {}
        is_api = "_api:" in name
        text = json.dumps(body) if is_api else urlencode(body)
        kind = "application/json" if is_api else "application/x-www-form-urlencoded"
        headers = {}
        if name.startswith("library_api:upload"):
            headers = describe_upload("digits-team")
            text, kind = ("a", "application/offset+octet-stream") if method == "PATCH" else ("", "")
        return client.generic(method, self.address(name, **other), text, content_type=kind, headers=headers)


def describe_upload(project: str) -> dict[str, str]:
    told = [
        f"{key} {base64.b64encode(text).decode()}" for key, text in (("project", project.encode()), ("filename", b"a"))
    ]
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "10",
        "Upload-Offset": "0",
        "Upload-Metadata": ",".join(told),
    }


def sign_in(user: User | None, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    if user is not None:
        client.force_login(user)
    return client


def asks_to_sign_in(answer: HttpResponseBase) -> bool:
    return answer.status_code == 302 and "/accounts/login/" in answer.headers["Location"]


@pytest.fixture
def house(cast: Cast, queue: list[Any]) -> House:
    return House(cast)


def test_every_route_has_its_line() -> None:
    assert set(ROUTES) - BY_LINK == set(TABLE)
    assert {name for name, methods in TABLE.items() if any("N" in who for who in methods.values())} == OPEN


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_everybody_gets_in_where_the_table_says_and_nowhere_else(house: House, namespace: str) -> None:
    wrong = []
    for name, methods in TABLE.items():
        if name.rpartition(":")[0] == namespace:
            for method in ("GET", "POST", *methods):
                wrong += [f"{name} {method} {fault}" for fault in find_faults(house, name, method, methods.get(method))]
    assert wrong == []


def find_faults(house: House, name: str, method: str, line: str | None) -> Iterator[str]:
    """What answers otherwise than its line says. Who is let in first sees the page itself, the others go unpainted."""
    if line is None:
        if (status := house.knock("I", name, method)) != WRONG_METHOD:
            yield f"is not in the table and answered {status}"
        return
    letters = "N" if line == LETTERS else LETTERS  # where nobody has to be somebody, everybody gets in
    first = next((letter for letter in line if letter.isalpha()), "")
    for letter, cell in zip(letters, line[-len(letters) :], strict=True):
        with nullcontext() if letter == first else unpainted():
            status = house.knock(letter, name, method)
        refused = MISSING if cell == "-" else SIGN_IN if letter == "N" else MAY_NOT
        is_right = status < 400 or status in {409, 422} if cell == letter else status == refused
        if not is_right:
            yield f"{letter}: {status}"


def unpainted() -> AbstractContextManager[Any]:
    """Templates come out empty: a page takes longer to paint than to decide who may see it."""
    return mock.patch.object(Template, "render", return_value="")


def test_things_of_another_project_are_not_found_below_ones_own(house: House) -> None:
    found = {}
    for name, methods in TABLE.items():
        if "<slug:project>" in ROUTES[name] and ROUTES[name].count("<") > 1 and name not in SHARED:
            with unpainted():
                statuses = {method: house.knock("S", name, method, project="elsewhere") for method in methods}
            found[name] = {method: status for method, status in statuses.items() if status != MISSING}
    assert {name: statuses for name, statuses in found.items() if statuses} == {}


def test_no_write_of_a_session_passes_without_its_token(house: House) -> None:
    client = sign_in(User.objects.get(email="ines@example.com"), enforce_csrf_checks=True)
    with unpainted():
        passed = [
            f"{name} {method}: {status}"
            for name, methods in TABLE.items()
            for method in methods
            if method in WRITES and (status := house.send(client, name, method).status_code) != MAY_NOT
        ]
    assert passed == []


def test_set_up_is_over_once_there_are_people(house: House) -> None:
    assert {house.knock(letter, "site:setup", method) for letter in "NI" for method in ("GET", "POST")} == {MISSING}
