"""Keys: shown once, limited, revoked for good."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.actors import actor_for_key
from apps.accounts.authentication import find_key
from apps.accounts.models import ApiKey
from apps.accounts.services import Issued
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from tests.cast import Cast


def issue(cast: Cast, *scopes: str, days: int = 90) -> Issued:
    return accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="Shop", scopes=scopes, days=days)


def test_issued_key_is_found_by_its_text_and_kept_as_a_digest(cast: Cast) -> None:
    issued = issue(cast, "read")
    assert find_key(issued.text) == issued.key
    assert issued.text not in str(ApiKey.objects.values())
    assert issued.text not in str(Entry.objects.values())
    assert Entry.objects.get().action == "key.issued"


def test_prefix_says_what_the_key_is_for(cast: Cast) -> None:
    assert issue(cast, "invoke:digits", "read").text.startswith("slw_live_")
    assert issue(cast, "upload").text.startswith("slw_ci_")


def test_revoked_expired_and_mistyped_keys_do_not_work(cast: Cast) -> None:
    revoked, expired = issue(cast, "read"), issue(cast, "read")
    accounts.revoke_key(actor=cast.actor("ada"), key=revoked.key)
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert find_key(revoked.text) is None
    assert find_key(expired.text) is None
    assert find_key(issue(cast, "read").text[:-1] + "!") is None


def test_key_is_revoked_once(cast: Cast) -> None:
    key = issue(cast, "read").key
    accounts.revoke_key(actor=cast.actor("ada"), key=key)
    with pytest.raises(StateConflict):
        accounts.revoke_key(actor=cast.actor("ada"), key=key)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": ["invoke:a/b"]}, "scopes"),
        ({"days": 366}, "days"),
        ({"days": 0}, "days"),
        ({"rate_per_minute": 0}, "rate_per_minute"),
    ],
)
def test_keys_have_limits(cast: Cast, changes: dict[str, object], field: str) -> None:
    asked = {"name": "Shop", "scopes": ["read"], **changes}
    with pytest.raises(Invalid) as refused:
        accounts.issue_key(actor=cast.actor("ada"), project=cast.project, **asked)
    assert field in refused.value.errors


@pytest.mark.parametrize("name", ["vic", "dana", "rhea", "omar", "sam"])
def test_only_administrators_make_and_revoke_keys(cast: Cast, name: str) -> None:
    key = issue(cast, "read").key
    with pytest.raises(NotAllowed):
        accounts.issue_key(actor=cast.actor(name), project=cast.project, name="Mine", scopes=["read"])
    with pytest.raises(NotAllowed):
        accounts.revoke_key(actor=cast.actor(name), key=key)


def test_keys_make_no_keys(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        key_actor = actor_for_key(issue(cast, "read", "deploy").key)
        accounts.issue_key(actor=key_actor, project=cast.project, name="Child", scopes=["read"])


def test_key_page_shows_the_key_once_and_is_not_stored(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("ada"))
    asked = {"name": "Shop", "endpoints": "digits, fraud", "scopes": ["read"], "days": 30, "rate_per_minute": 60}
    made = client.post("/p/digits-team/keys/new/", asked)
    key = ApiKey.objects.get()
    assert key.scopes == ["invoke:digits", "invoke:fraud", "read"]
    text = made.content.decode().split('id="key-text">')[1].split("<")[0]
    assert find_key(text) == key
    assert "no-store" in made.headers["Cache-Control"]
    assert text not in client.get("/p/digits-team/keys/").content.decode()


def test_revoking_asks_for_the_name(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("ada"))
    key = issue(cast, "read").key
    path = f"/p/digits-team/keys/{key.key_id}/revoke/"
    assert client.post(path, {"name": "Other"}).status_code == 422
    assert ApiKey.objects.get().revoked_at is None
    assert client.post(path, {"name": "Shop"}).status_code == 302
    assert ApiKey.objects.get().revoked_at


def test_key_tells_its_state(cast: Cast) -> None:
    assert issue(cast, "read").key.state == "active"
    assert issue(cast, "read", days=3).key.state == "expiring"
