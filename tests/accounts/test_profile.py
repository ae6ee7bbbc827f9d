"""What people decide for themselves."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.test import Client

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed
from tests.cast import PASSWORD, Cast


@pytest.fixture
def dana(cast: Cast) -> User:
    user = cast.user("dana")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(client: Client, user: User) -> None:
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})


def test_profile_is_edited_by_its_owner_only(cast: Cast) -> None:
    accounts.edit_profile(actor=cast.actor("dana"), user=cast.user("dana"), name="Dana O.", theme="dark")
    assert User.objects.get(email="dana@example.com").theme == "dark"
    with pytest.raises(NotAllowed):
        accounts.edit_profile(actor=cast.actor("ada"), user=cast.user("dana"), name="Renamed")


@pytest.mark.parametrize("changes", [{"name": " "}, {"language": "tlh"}, {"theme": "pink"}, {"is_superuser": "1"}])
def test_profile_takes_nothing_else(cast: Cast, changes: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        accounts.edit_profile(actor=cast.actor("dana"), user=cast.user("dana"), **changes)


def test_unchanged_profile_leaves_no_entry(cast: Cast) -> None:
    accounts.edit_profile(actor=cast.actor("dana"), user=cast.user("dana"), name="Dana")
    assert not Entry.objects.exists()


def test_theme_is_chosen_from_the_rail_and_shown_before_the_first_paint(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("dana"))
    client.post("/profile/choose/", {"theme": "dark", "next": "/profile/"})
    assert 'data-bs-theme="dark"' in client.get("/profile/").content.decode()
    assert client.cookies["slipway_theme"].value == "dark"


def test_language_is_kept_with_the_person_and_wins_over_the_browser(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("dana"))
    client.post("/profile/choose/", {"language": "zh-hans", "next": "/profile/"})
    assert User.objects.get(email="dana@example.com").language == "zh-hans"
    page = client.get("/profile/", headers={"Accept-Language": "en"})
    assert 'lang="zh-hans"' in page.content.decode()


def test_saved_language_comes_back_with_sign_in(dana: User, client: Client) -> None:
    User.objects.filter(pk=dana.pk).update(language="zh-hans")
    sign_in(client, dana)
    assert 'lang="zh-hans"' in client.get("/profile/", headers={"Accept-Language": "en"}).content.decode()


def test_choosing_never_leads_to_another_host(cast: Cast, client: Client) -> None:
    answer = client.post("/profile/choose/", {"theme": "dark", "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"


def test_changed_password_leaves_an_entry_without_it(dana: User, client: Client) -> None:
    sign_in(client, dana)
    new = "another horse entirely here"
    asked = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    before, elsewhere = client.session.session_key, Client()
    sign_in(elsewhere, dana)
    assert client.post("/accounts/password/change/", asked).status_code == 302
    assert client.session.session_key != before
    assert client.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 302  # signed out, like every session of the earlier password
    assert User.objects.get(pk=dana.pk).check_password(new)
    entry = Entry.objects.order_by("seq").last()
    assert entry is not None
    assert entry.action == "password.changed"
    assert new not in str(Entry.objects.values())


def test_second_factor_is_switched_on_and_asked_for(dana: User, client: Client) -> None:
    sign_in(client, dana)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    secret = page.context["form"].secret
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    assert client.post("/accounts/2fa/totp/activate/", {"code": code}).status_code == 302
    assert Authenticator.objects.filter(user=dana, type="totp").exists()
    assert Entry.objects.filter(action="second_factor.added").count() == 1
    other = Client()
    other.post("/accounts/login/", {"login": dana.email, "password": PASSWORD})
    assert other.get("/profile/").status_code == 302


@pytest.mark.parametrize("path", ["profile/", "help/", "accounts/sessions/", "accounts/2fa/", "projects/"])
def test_own_pages_answer(dana: User, client: Client, path: str) -> None:
    sign_in(client, dana)
    assert client.get(f"/{path}").status_code == 200


def test_other_sessions_are_ended(dana: User, client: Client) -> None:
    other = Client()
    sign_in(other, dana)
    sign_in(client, dana)
    client.get("/accounts/sessions/")
    other.get("/profile/")
    client.post("/accounts/sessions/")
    assert other.get("/profile/").status_code == 302
    assert client.get("/profile/").status_code == 200


def test_one_other_session_is_ended(dana: User, client: Client) -> None:
    first, second = Client(), Client()
    for one in (first, second, client):
        sign_in(one, dana)
        one.get("/accounts/sessions/")
    rows = {row.session_key: row for row in UserSession.objects.all()}
    address = "/accounts/sessions/"
    assert client.post(address, {"session": rows[client.session.session_key].pk}).status_code == 404
    assert client.post(address, {"session": "x"}).status_code == 404
    assert client.post(address, {"session": rows[first.session.session_key].pk}).status_code == 302
    assert Entry.objects.filter(action="session.other_ended").count() == 1
    statuses = [one.get("/profile/").status_code for one in (first, second, client)]
    assert statuses == [302, 200, 200]


def test_nobody_ends_a_session_of_somebody_else(cast: Cast, client: Client) -> None:
    other = Client()
    other.force_login(cast.user("rhea"))
    other.get("/accounts/sessions/")
    client.force_login(cast.user("dana"))
    assert client.post("/accounts/sessions/", {"session": UserSession.objects.get().pk}).status_code == 404
    assert other.get("/profile/").status_code == 200


def pass_time(client: Client, **seconds: float) -> None:
    session = client.session
    for key, ago in seconds.items():
        session[key] = time.time() - ago
    session.save()


def test_a_session_that_nobody_uses_ends(dana: User, client: Client) -> None:
    client.force_login(dana)
    pass_time(client, used_at=1700)
    assert client.get("/profile/", headers={"X-Poll": "1"}).status_code == 200
    assert time.time() - client.session["used_at"] > 1600
    assert client.get("/profile/").status_code == 200
    assert time.time() - client.session["used_at"] < 60
    pass_time(client, used_at=1801)
    assert client.get("/profile/").status_code == 302


def test_a_session_ends_after_its_day_however_it_is_used(dana: User, client: Client) -> None:
    client.force_login(dana)
    pass_time(client, begun_at=8 * 3600 + 1)
    assert client.get("/profile/").status_code == 302


def test_answers_are_nobody_elses_and_ask_for_no_devices(client: Client, db: None) -> None:
    for path in ("/accounts/login/", "/api/v1/projects/", "/no-such-page/"):
        headers = client.get(path).headers
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
