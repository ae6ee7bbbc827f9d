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
    assert find_key(issued.text, "127.0.0.1") == issued.key
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
    assert find_key(revoked.text, "127.0.0.1") is None
    assert find_key(expired.text, "127.0.0.1") is None
    assert find_key(issue(cast, "read").text[:-1] + "!", "127.0.0.1") is None


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
    assert find_key(text, "127.0.0.1") == key
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


def test_key_with_ranges_is_taken_from_addresses_in_them_only(cast: Cast) -> None:
    networks = ["10.0.0.0/8", "2001:db8::/32", "203.0.113.7"]
    issued = accounts.issue_key(
        actor=cast.actor("ada"), project=cast.project, name="Shop", scopes=["read"], networks=networks
    )
    assert issued.key.networks == ["10.0.0.0/8", "2001:db8::/32", "203.0.113.7/32"]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "203.0.113.7"):
        assert find_key(issued.text, address) == issued.key
    for address in ("11.0.0.1", "2001:db9::1", "203.0.113.8", "", "nonsense"):
        assert find_key(issued.text, address) is None


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["everywhere"], ["10.0.0.0/33"], ["10.0.0.0/8"] * 51])
def test_ranges_that_are_none_are_refused(cast: Cast, networks: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.issue_key(
            actor=cast.actor("ada"), project=cast.project, name="Shop", scopes=["read"], networks=networks
        )
    assert set(refused.value.errors) == {"networks"}


def test_api_takes_a_key_from_its_addresses_only(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("ada"))
    asked = {"project": "digits-team", "name": "CI", "scopes": ["read"], "networks": ["192.0.2.0/24"]}
    made = client.post("/api/v1/keys/", asked, content_type="application/json").json()
    assert made["networks"] == ["192.0.2.0/24"]
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert Client(REMOTE_ADDR="192.0.2.9").get("/api/v1/projects/", headers=bearer).status_code == 200
    assert Client(REMOTE_ADDR="127.0.0.1").get("/api/v1/projects/", headers=bearer).status_code == 401


def test_rotated_key_is_taken_beside_the_new_one_for_a_while(cast: Cast) -> None:
    issued = issue(cast, "invoke:digits", days=30)
    rotated = accounts.rotate_key(actor=cast.actor("ada"), key=issued.key, overlap_hours=2)
    assert find_key(rotated.text) == rotated.key
    assert find_key(issued.text) == issued.key
    assert rotated.key.scopes == ["invoke:digits"]
    assert rotated.key.expires_at - timezone.now() > timedelta(days=29)
    earlier = ApiKey.objects.get(pk=issued.key.pk)
    assert timedelta(hours=1) < earlier.expires_at - timezone.now() <= timedelta(hours=2)
    assert earlier.replaced_by == rotated.key
    assert Entry.objects.filter(action="key.rotated").count() == 1
    ApiKey.objects.filter(pk=earlier.pk).update(expires_at=timezone.now())
    assert find_key(issued.text) is None
    with pytest.raises(StateConflict):
        accounts.rotate_key(actor=cast.actor("ada"), key=earlier)


def test_rotating_never_makes_a_key_live_longer(cast: Cast) -> None:
    issued = issue(cast, "read", days=1)
    accounts.rotate_key(actor=cast.actor("ada"), key=issued.key, overlap_hours=168)
    assert ApiKey.objects.get(pk=issued.key.pk).expires_at == issued.key.expires_at
    with pytest.raises(Invalid):
        accounts.rotate_key(actor=cast.actor("ada"), key=issue(cast, "read").key, overlap_hours=169)


def test_key_is_rotated_on_its_page_and_by_the_api(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("ada"))
    key = issue(cast, "read").key
    assert "Rotate this key?" in client.get(f"/p/digits-team/keys/{key.key_id}/rotate/").content.decode()
    made = client.post(f"/p/digits-team/keys/{key.key_id}/rotate/", {"overlap_hours": 0}).content.decode()
    second = find_key(made.split('id="key-text">')[1].split("<")[0])
    assert second
    assert "is no longer accepted" in made
    answer = client.post(f"/api/v1/keys/{second.key_id}/rotate/", {}, content_type="application/json")
    assert answer.status_code == 201
    assert find_key(answer.json()["key"])
    page = client.get("/p/digits-team/keys/").content.decode()
    assert f"replaced by {answer.json()['id']}" in page


def test_unused_key_is_disabled_and_can_be_rotated(cast: Cast) -> None:
    idle, busy, new = issue(cast, "read"), issue(cast, "read", days=365), issue(cast, "read")
    long_ago = timezone.now() - timedelta(days=91)
    ApiKey.objects.filter(pk__in=[idle.key.pk, busy.key.pk]).update(created_at=long_ago)
    ApiKey.objects.filter(pk=busy.key.pk).update(last_used_at=timezone.now())
    assert accounts.disable_unused_keys() == 1
    assert accounts.disable_unused_keys() == 0
    assert find_key(idle.text) is None
    assert find_key(busy.text)
    assert find_key(new.text)
    assert ApiKey.objects.get(pk=idle.key.pk).state == "disabled"
    assert Entry.objects.get(action="key.disabled").object_id == str(idle.key.pk)
    rotated = accounts.rotate_key(actor=cast.actor("ada"), key=ApiKey.objects.get(pk=idle.key.pk))
    assert find_key(rotated.text)
    assert find_key(idle.text) is None
