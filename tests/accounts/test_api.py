"""Projects, members and keys through the API."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.accounts.models import ApiKey, Membership, User
from apps.audit.models import Entry
from tests.cast import Cast


@pytest.fixture
def ada(cast: Cast, client: Client) -> Client:
    client.force_login(cast.user("ada"))
    return client


def send(client: Client, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return client.generic(
        method, f"/api/v1/{path}", __import__("json").dumps(body or {}), "application/json", headers=headers
    )


def test_projects_are_those_of_the_caller(cast: Cast, ada: Client) -> None:
    assert [row["slug"] for row in ada.get("/api/v1/projects/").json()["results"]] == ["digits-team"]
    assert ada.get("/api/v1/projects/elsewhere/").status_code == 404


def test_installation_administrator_creates_projects(cast: Cast, client: Client) -> None:
    client.force_login(User.objects.create(email="root@example.com", name="Root", is_superuser=True))
    made = send(client, "POST", "projects/", {"slug": "fraud", "name": "Fraud"})
    assert made.status_code == 201
    again = send(client, "POST", "projects/", {"slug": "fraud", "name": "Fraud"})
    assert again.status_code == 422
    assert "slug" in again.json()["errors"]


def test_project_is_patched_by_its_administrator_only(cast: Cast, ada: Client) -> None:
    assert send(ada, "PATCH", "projects/digits-team/", {"name": "Renamed"}).json()["name"] == "Renamed"
    ada.force_login(cast.user("dana"))
    assert send(ada, "PATCH", "projects/digits-team/", {"name": "Mine"}).status_code == 403


def test_members_are_added_changed_invited_and_removed(cast: Cast, ada: Client) -> None:
    path = "projects/digits-team/members/"
    assert send(ada, "POST", path, {"email": "sam@example.com", "role": "viewer"}).status_code == 201
    assert send(ada, "POST", path, {"email": "sam@example.com", "role": "operator"}).json()["role"] == "operator"
    invited = send(ada, "POST", path, {"email": "new@example.com", "role": "viewer"})
    assert invited.status_code == 202
    assert "/invitations/" in invited.json()["invitation"]
    assert send(ada, "DELETE", f"{path}?email=sam@example.com").status_code == 204
    assert send(ada, "DELETE", f"{path}?email=sam@example.com").status_code == 404
    assert send(ada, "DELETE", f"{path}?email=ada@example.com").status_code == 409
    assert Entry.objects.count() == 4


def test_key_is_in_the_answer_once(cast: Cast, ada: Client) -> None:
    made = send(ada, "POST", "keys/", {"project": "digits-team", "name": "CI", "scopes": ["read"]})
    assert made.status_code == 201
    text = made.json()["key"]
    listed = ada.get("/api/v1/keys/").json()["results"]
    assert [row["id"] for row in listed] == [made.json()["id"]]
    assert text not in str(listed)
    stranger = Client()
    answer = stranger.get("/api/v1/projects/", headers={"Authorization": f"Bearer {text}"})
    assert answer.json()["count"] == 1


def test_key_cannot_manage_keys_or_members(cast: Cast, client: Client) -> None:
    actor = cast.actor("ada")
    issued = accounts.issue_key(actor=actor, project=cast.project, name="CI", scopes=["read", "deploy"])
    bearer = {"Authorization": f"Bearer {issued.text}"}
    asked = {"project": "digits-team", "name": "More", "scopes": ["read"]}
    assert send(client, "POST", "keys/", asked, **bearer).status_code == 403
    assert client.get("/api/v1/keys/", headers=bearer).json()["count"] == 0
    new = {"email": "x@example.com", "role": "viewer"}
    assert send(client, "POST", "projects/digits-team/members/", new, **bearer).status_code == 403


def test_key_is_revoked_by_its_projects_administrator_only(cast: Cast, ada: Client) -> None:
    issued = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="CI", scopes=["read"])
    ada.force_login(cast.user("sam"))
    assert send(ada, "DELETE", f"keys/{issued.key.key_id}/").status_code == 404
    ada.force_login(cast.user("ada"))
    assert send(ada, "DELETE", f"keys/{issued.key.key_id}/").status_code == 204
    assert ApiKey.objects.get().revoked_at


def test_wrong_key_is_told_nothing(cast: Cast, client: Client) -> None:
    answer = client.get("/api/v1/projects/", headers={"Authorization": "Bearer slw_ci_nonsense"})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_session_calls_need_the_csrf_token(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.user("ada"))
    new = {"email": "sam@example.com", "role": "viewer"}
    assert send(client, "POST", "projects/digits-team/members/", new).status_code == 403
    assert not Membership.objects.filter(project=cast.project, user=cast.user("sam")).exists()
