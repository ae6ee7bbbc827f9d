"""The log's page, its API and its export, as far as each may read."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.models import User
from apps.audit.changes import changes
from apps.audit.checkpoints import key_texts, public_keys
from apps.audit.services import record
from apps.audit.verifier import verify_export
from tests.cast import Cast


@pytest.fixture
def written(cast: Cast, settings: Settings, tmp_path: Path) -> Cast:
    settings.SLIPWAY_HOME = tmp_path
    ada, sam = cast.actor("ada"), cast.actor("sam")
    with transaction.atomic():
        record(
            ada, "project.edited", cast.project, before={"name": "Old"}, after={"name": "<b>New</b>"}, note="Why not"
        )
        record(sam, "project.edited", cast.elsewhere, after={"secret": "elsewhere"})
        record(ada, "key.issued", cast.user("dana"), project=cast.project)
    return cast


@pytest.fixture
def root(written: Cast, client: Client) -> Client:
    client.force_login(User.objects.create(email="root@example.com", name="Root", is_superuser=True))
    return client


def lines_of(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/api/v1/audit/export/{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("name", "status"), [("rhea", 200), ("omar", 200), ("ada", 200), ("vic", 403), ("dana", 403), ("sam", 404)]
)
def test_page_is_for_those_who_may_read_the_log(written: Cast, client: Client, name: str, status: int) -> None:
    client.force_login(written.user(name))
    assert client.get("/p/digits-team/audit/").status_code == status


def test_page_shows_the_project_alone_with_before_and_after(written: Cast, client: Client) -> None:
    client.force_login(written.user("rhea"))
    page = client.get("/p/digits-team/audit/").content.decode()
    assert "Old" in page
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    assert "Why not" in page
    assert "elsewhere" not in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("text=Old", 1),
        ("actor=ada", 2),
        ("actor=sam", 0),
        ("action=key.issued", 1),
        ("action=key", 1),
        ("thing=user", 1),
        ("since=2020-01-01", 2),
        ("since=2999-01-01", 0),
        ("until=2020-01-01", 0),
        ("since=nonsense", 2),
        ("scope=all", 2),
    ],
)
def test_filters_narrow_the_log(written: Cast, client: Client, query: str, count: int) -> None:
    client.force_login(written.user("ada"))
    page = client.get(f"/p/digits-team/audit/?{query}").content.decode()
    assert page.count('class="entry"') == count


def test_whole_installation_is_shown_to_its_administrators_only(root: Client) -> None:
    assert root.get("/p/digits-team/audit/?scope=all").content.decode().count('class="entry"') == 3


def test_long_log_is_paged_by_number(
    written: Cast, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with transaction.atomic():
        for _number in range(60):
            record(written.actor("ada"), "project.edited", written.project)
    client.force_login(written.user("ada"))
    client.get("/p/digits-team/audit/")
    with django_assert_max_num_queries(9):
        first = client.get("/p/digits-team/audit/")
    assert first.content.decode().count('class="entry"') == 50
    second = client.get(first.context["older"])
    assert second.content.decode().count('class="entry"') == 12


def test_verifying_on_the_page_tells_how_far_the_log_holds(written: Cast, client: Client) -> None:
    client.force_login(written.user("rhea"))
    page = client.post("/p/digits-team/audit/verify/", follow=True).content.decode()
    assert "Whole up to the last entry, 3" in page
    assert "Signed up to entry 3" in page
    assert key_texts()[0] in page


def test_api_lists_what_the_caller_may_read(written: Cast, client: Client) -> None:
    client.force_login(written.user("rhea"))
    answer = client.get("/api/v1/audit/").json()
    assert [row["seq"] for row in answer["results"]] == [3, 1]
    assert answer["results"][1]["before"] == {"name": "Old"}
    assert client.get("/api/v1/audit/?project=elsewhere").status_code == 404
    assert client.get("/api/v1/audit/?since=soon").status_code == 422
    client.force_login(written.user("dana"))
    assert client.get("/api/v1/audit/").status_code == 403


def test_whole_export_verifies(root: Client) -> None:
    found = verify_export(lines_of(root), public_keys())
    assert found.is_whole
    assert found.seq == 3


def test_project_export_verifies_and_keeps_others_private(written: Cast, client: Client) -> None:
    client.force_login(written.user("ada"))
    lines = lines_of(client, "?project=digits-team")
    assert "elsewhere" not in "".join(lines)
    assert set(json.loads(lines[1])) == {"seq", "previous", "hash"}
    assert "project digits-team" in json.loads(lines[-1])["manifest"]
    assert verify_export(lines, public_keys()).is_whole


@pytest.mark.parametrize("name", ["rhea", "omar", "dana", "sam"])
def test_export_is_for_administrators(written: Cast, client: Client, name: str) -> None:
    client.force_login(written.user(name))
    assert client.get("/api/v1/audit/export/?project=digits-team").status_code in (403, 404)
    assert client.get("/api/v1/audit/export/").status_code == 403


def test_command_exports_the_whole_log(written: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_audit")
    assert verify_export(capsys.readouterr().out.splitlines(keepends=True), public_keys()).seq == 3


def test_changes_are_named_and_shown_as_people_read_them() -> None:
    before, after = '{"name": "Old", "scopes": ["a"]}', '{"scopes": ["a", "b"], "days": 3, "deep": {"x": 1}}'
    found = {change.name: (change.before, change.after) for change in changes(before, after)}
    assert found["name"] == ("Old", None)
    assert found["scopes"] == ("a", "a, b")
    assert found["days"] == (None, "3")
    assert found["deep"] == (None, '{\n  "x": 1\n}')
    assert changes("", "") == []
