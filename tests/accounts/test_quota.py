"""A project's storage quota: shown to its administrators, changed by those of the installation."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts import services as accounts
from apps.accounts.models import Project, User
from apps.audit.models import Entry
from apps.core.actors import SYSTEM
from apps.core.errors import Invalid
from tests.cast import Cast

GIGABYTE = 1 << 30


@pytest.fixture
def ines(cast: Cast) -> User:
    return User.objects.create(email="ines@example.com", name="Ines", is_superuser=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(cast: Cast) -> str:
    return reverse("accounts:project_edit", args=[cast.project.slug])


def test_an_administrator_of_the_installation_changes_it_on_the_settings_page(cast: Cast, ines: User) -> None:
    client = signed_in(ines)
    assert 'value="50.0"' in client.get(page(cast)).content.decode()
    client.post(page(cast), {"name": "Digits team", "quota_gb": "0.5"})
    cast.project.refresh_from_db()
    assert cast.project.quota_bytes == GIGABYTE // 2
    entry = Entry.objects.get(action="project.edited")
    before, after = json.loads(entry.before), json.loads(entry.after)
    assert (before["quota_bytes"], after["quota_bytes"]) == (50 * GIGABYTE, GIGABYTE // 2)


def test_a_quota_that_was_not_touched_stays_to_the_byte(cast: Cast, ines: User) -> None:
    Project.objects.filter(pk=cast.project.pk).update(quota_bytes=GIGABYTE + 1)
    signed_in(ines).post(page(cast), {"name": "Digits", "quota_gb": "1"})
    cast.project.refresh_from_db()
    assert (cast.project.name, cast.project.quota_bytes) == ("Digits", GIGABYTE + 1)


def test_an_administrator_of_the_project_sees_it_and_cannot_change_it(cast: Cast) -> None:
    client = signed_in(cast.user("ada"))
    text = client.get(page(cast)).content.decode()
    assert "50.0\xa0GB" in text
    assert "quota_gb" not in text
    client.post(page(cast), {"name": "Digits", "quota_gb": "900"})
    answer = client.patch(f"/api/v1/projects/{cast.project.slug}/", {"quota_bytes": 1}, content_type="application/json")
    assert answer.status_code == 403
    cast.project.refresh_from_db()
    assert (cast.project.name, cast.project.quota_bytes) == ("Digits", 50 * GIGABYTE)


def test_the_api_sets_it_for_a_new_project_and_an_old_one(cast: Cast, ines: User) -> None:
    client = signed_in(ines)
    made = client.post(
        "/api/v1/projects/",
        {"slug": "harbour", "name": "Harbour", "quota_bytes": 1000},
        content_type="application/json",
    )
    assert (made.status_code, made.json()["quota_bytes"]) == (201, 1000)
    changed = client.patch("/api/v1/projects/harbour/", {"quota_bytes": 2000}, content_type="application/json")
    assert changed.json()["quota_bytes"] == 2000
    assert Project.objects.get(slug="harbour").quota_bytes == 2000


def test_an_impossible_quota_is_refused(cast: Cast) -> None:
    with pytest.raises(Invalid, match="this quota"):
        accounts.create_project(actor=SYSTEM, slug="small", name="Small", quota_bytes=-1)
