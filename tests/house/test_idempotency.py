"""Every unsafe call of the API, sent twice under one ``Idempotency-Key``: one effect, one answer."""

import base64
import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponseBase
from django.urls import resolve

from apps.audit.models import Entry
from tests import world
from tests.cast import Cast
from tests.house.test_access import TABLE, WRITES, House, describe_upload

BY_OFFSET = ("library_api:upload", "PATCH")  # what is sent twice there is refused by where it begins
CALLS = [
    (name, method, line)
    for name, methods in TABLE.items()
    for method, line in methods.items()
    if "_api:" in name and method in WRITES and (name, method) != BY_OFFSET
]
SECRETS = {"accounts_api:keys": "key", "accounts_api:key_rotate": "key", "monitoring_api:channels": "secret"}
BODIES: dict[str, dict[str, Any]] = {
    "accounts_api:members": {"email": "rhea@example.com", "role": "operator"},
    "library_api:card": {"card": "# Digits", "revision": 1},
}
# What the house's furniture cannot be asked for; stories of their own send some of these twice
REFUSED = {
    "library_api:versions POST",
    "library_api:restore POST",
    "library_api:ask_exception POST",
    "library_api:revoke_exception POST",
    "deployments_api:deployments POST",
    "deployments_api:start POST",
    "deployments_api:rollback POST",
}


@pytest.fixture
def house(cast: Cast, queue: list[Any]) -> House:
    made = House(cast)
    made.furniture.places["library_api:version"] = {"number": world.ready_version(cast).number}
    return made


def send(house: House, name: str, method: str, letter: str, *, twist: str = "") -> HttpResponseBase:
    """The call under one key; with a twist, another call."""
    body = {**house.furniture.bodies.get(name, {}), **BODIES.get(name, {})}
    headers = {"Idempotency-Key": "once"}
    if name.startswith("library_api:upload"):
        headers |= describe_upload("digits-team") | ({"Upload-Length": "11"} if twist else {})
    text = json.dumps({**body, "twist": twist} if twist else body)
    if name.startswith("library_api:upload"):
        text = ""
    client = house.clients[letter]
    kind = "application/json" if text else ""
    return client.generic(method, house.address(name), text, content_type=kind, headers=headers)


def find_fault(house: House, name: str, method: str, letter: str) -> str:
    """What is wrong with sending the call three times, the last time as another one."""
    entries = Entry.objects.count()
    first: Any = send(house, name, method, letter)
    if first.status_code >= 400:
        return f"refused: {first.status_code} {first.content.decode()[:300]}"
    done = Entry.objects.count() - entries
    again: Any = send(house, name, method, letter)
    if "Idempotent-Replayed" not in again.headers:
        return f"done again: {again.status_code}"
    expected = json.loads(first.content or b"{}")
    if name in SECRETS:
        assert expected[SECRETS[name]]
        expected[SECRETS[name]] = None
    if (again.status_code, json.loads(again.content or b"{}")) != (first.status_code, expected):
        return f"answered otherwise: {again.status_code} {again.content.decode()[:300]}"
    if Entry.objects.count() - entries != done:
        return "recorded again"
    if name == "library_api:upload":
        return ""  # it reads no body
    other = send(house, name, method, letter, twist="other")
    return "" if other.status_code == 422 else f"another body: {other.status_code}"


def test_every_unsafe_call_of_the_api_takes_the_header(house: House) -> None:
    views = {name: resolve(house.address(name).partition("?")[0]).func for name, _method, _line in CALLS}
    deaf = [
        f"{name} {method}"
        for name, method, _line in CALLS
        if not getattr(views[name].cls, method.lower()).is_idempotent  # type: ignore[attr-defined]
    ]
    assert deaf == []


def test_every_unsafe_call_of_the_api_is_done_once(house: House) -> None:
    faults = {}
    for name, method, line in CALLS:
        with transaction.atomic():
            letter = next(letter for letter in reversed(line) if letter.isalpha())
            if fault := find_fault(house, name, method, letter):
                faults[f"{name} {method}"] = fault
            transaction.set_rollback(True)
    assert {name for name, fault in faults.items() if fault.startswith("refused")} == REFUSED
    faults = {name: fault for name, fault in faults.items() if name not in REFUSED}
    assert not faults, "\n".join(f"{name}: {fault}" for name, fault in faults.items())


def test_what_is_shown_once_is_kept_nowhere(house: House) -> None:
    for name, field in SECRETS.items():
        made: Any = send(house, name, "POST", "I")
        with connection.cursor() as cursor:
            cursor.execute("SELECT value FROM django_cache")
            kept = [base64.b64decode(value) for (value,) in cursor.fetchall()]
        assert kept
        assert not [value for value in kept if made.json()[field].encode() in value]
