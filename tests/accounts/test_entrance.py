"""Set-up links and invitations: once, for a while, for the right person."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Invitation, Membership, User
from apps.audit.models import Entry
from apps.core.errors import Invalid, Missing, NotAllowed, StateConflict
from tests.cast import PASSWORD, Cast


def token_of(link: str) -> str:
    return link.rstrip("/").rsplit("/", 1)[1]


def invite(cast: Cast, email: str = "new@example.com", role: str = "reviewer") -> str:
    added = accounts.add_member(actor=cast.actor("ada"), project=cast.project, email=email, role=role)
    return token_of(added.link)


@pytest.mark.django_db
def test_setup_link_makes_the_first_administrator_once() -> None:
    link = accounts.create_setup_link()
    assert link is not None
    user = accounts.set_up(token=token_of(link), email="Ada@Example.com", name="Ada", password=PASSWORD)
    assert user.is_superuser
    assert user.email == "ada@example.com"
    with pytest.raises(Missing):
        accounts.set_up(token=token_of(link), email="eve@example.com", name="Eve", password=PASSWORD)
    assert accounts.create_setup_link() is None


@pytest.mark.django_db
def test_a_newer_setup_link_voids_the_older() -> None:
    older, newer = accounts.create_setup_link(), accounts.create_setup_link()
    assert older is not None
    assert newer is not None
    with pytest.raises(Missing):
        accounts.set_up(token=token_of(older), email="eve@example.com", name="Eve", password=PASSWORD)
    assert Invitation.objects.count() == 1


@pytest.mark.django_db
def test_setup_link_is_kept_as_a_digest_only() -> None:
    link = accounts.create_setup_link()
    assert link is not None
    assert token_of(link) not in str(Invitation.objects.values())


@pytest.mark.django_db
def test_setup_page_signs_the_new_administrator_in_and_leads_to_the_first_project(client: Client) -> None:
    link = accounts.create_setup_link()
    assert link is not None
    path = f"/setup/{token_of(link)}/"
    assert client.get(path).status_code == 200
    asked = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
    home = client.post(path, asked, follow=True)
    assert home.redirect_chain[-1][0] == "/projects/new/"
    made = client.post("/projects/new/", {"name": "Fraud", "slug": "fraud"})
    assert made.status_code == 302
    assert Membership.objects.get().role == "administrator"
    assert client.get(path).status_code == 404


@pytest.mark.django_db
def test_weak_password_is_refused_with_its_reason(client: Client) -> None:
    link = accounts.create_setup_link()
    assert link is not None
    answer = client.post(
        f"/setup/{token_of(link)}/", {"name": "Ada", "email": "ada@example.com", "password": "password"}
    )
    assert answer.status_code == 422
    assert b"too short" in answer.content
    assert not User.objects.exists()


def test_invitation_makes_an_account_with_its_role(cast: Cast) -> None:
    token = invite(cast)
    user = accounts.accept_invitation(token=token, name="New", password=PASSWORD)
    assert Membership.objects.get(user=user).role == "reviewer"
    assert [entry.action for entry in Entry.objects.order_by("seq")] == ["member.invited", "invitation.accepted"]
    with pytest.raises(Missing):
        accounts.accept_invitation(token=token, name="Again", password=PASSWORD)


def test_invitation_ends_after_a_week(cast: Cast) -> None:
    token = invite(cast)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Missing):
        accounts.accept_invitation(token=token, name="Late", password=PASSWORD)


def test_withdrawn_invitation_does_not_work(cast: Cast) -> None:
    token = invite(cast)
    accounts.withdraw_invitation(actor=cast.actor("ada"), invitation=Invitation.objects.get())
    with pytest.raises(Missing):
        accounts.accept_invitation(token=token, name="New", password=PASSWORD)


def test_inviting_again_voids_the_first_link(cast: Cast) -> None:
    first, second = invite(cast), invite(cast)
    with pytest.raises(Missing):
        accounts.accept_invitation(token=first, name="New", password=PASSWORD)
    assert accounts.accept_invitation(token=second, name="New", password=PASSWORD)


def test_signed_in_person_joins_with_their_own_invitation_only(cast: Cast) -> None:
    token = invite(cast, "sam2@example.com")
    user = User.objects.create(email="sam2@example.com", name="Sam")
    with pytest.raises(NotAllowed):
        accounts.join(actor=cast.actor("sam"), token=token)
    from_sam2 = cast.__class__(cast.project, cast.elsewhere, {"sam2": user}).actor("sam2")
    assert accounts.join(actor=from_sam2, token=token).role == "reviewer"


def test_account_that_exists_is_not_made_anew(cast: Cast) -> None:
    token = invite(cast, "later@example.com")
    User.objects.create(email="later@example.com", name="Later")
    with pytest.raises(StateConflict):
        accounts.accept_invitation(token=token, name="Later", password=PASSWORD)


def test_only_real_addresses_are_invited(cast: Cast) -> None:
    with pytest.raises(Invalid):
        invite(cast, "not an address")


def test_wrong_password_is_answered_clearly_and_names_nobody(cast: Cast, client: Client) -> None:
    for email in ("ada@example.com", "nobody@example.com"):
        answer = client.post("/accounts/login/", {"login": email, "password": "wrong"})
        assert answer.status_code == 200
        assert b"are not correct" in answer.content
    assert not Entry.objects.exists()


def test_guessing_passwords_is_slowed_down(cast: Cast, client: Client) -> None:
    for _attempt in range(6):
        answer = client.post("/accounts/login/", {"login": "ada@example.com", "password": "wrong"})
    assert b"Too many failed" in answer.content


def test_signing_in_changes_the_session_and_leaves_an_entry(cast: Cast, client: Client) -> None:
    ada = cast.user("ada")
    ada.set_password(PASSWORD)
    ada.save()
    session = client.session
    session.save()
    before = session.session_key
    client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    assert client.session.session_key != before
    assert Entry.objects.get().action == "session.started"


@pytest.mark.parametrize(
    "path", ["/", "/profile/", "/projects/", "/help/", "/p/digits-team/members/", "/p/digits-team/keys/"]
)
def test_nobody_sees_pages_without_signing_in(cast: Cast, client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")
