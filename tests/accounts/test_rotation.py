"""New keys for the installation: everything goes on opening, and what nothing needs any more can be removed."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from apps.accounts import services as accounts
from apps.accounts.authentication import find_key
from apps.accounts.models import ApiKey
from apps.accounts.services import rotation
from apps.audit.models import Entry
from apps.core.actors import SYSTEM
from apps.core.sealing import newest_key_id
from apps.deployments.models import Replica
from apps.gateway.admission import Admission
from apps.gateway.tables import Key
from apps.targets import services as targets
from apps.targets.models import Target
from controlplane.home import KeyRing
from tests.cast import Cast


@pytest.fixture
def rings(settings: Settings, tmp_path: Path) -> None:
    """Key files of their own: rotating must not disturb other tests."""
    settings.SLIPWAY_MASTER_KEYS = KeyRing(tmp_path / "secrets" / "master_key")
    settings.SLIPWAY_PEPPERS = KeyRing(tmp_path / "secrets" / "key_pepper")
    settings.SLIPWAY_SESSION_KEYS = KeyRing(tmp_path / "secrets" / "secret_key")


def make_target(cast: Cast, name: str) -> Target:
    made = targets.create_target(actor=SYSTEM, name=name, kind="process", secrets={"key": f"of {name}"})
    return Target.objects.get(pk=made.pk)


def test_everything_sealed_is_sealed_again_and_opens(rings: None, cast: Cast) -> None:
    rows = [make_target(cast, f"host-{number}") for number in range(5)]
    before = {row.pk: row.sealed for row in rows}

    call_command("rotate_keys", "master")

    for row in Target.objects.filter(pk__in=before):
        assert json.loads(row.sealed)["k"] == newest_key_id()
        assert row.sealed != before[row.pk]
        assert targets.open_secrets(row) == {"key": f"of {row.name}"}


def test_every_kind_of_row_with_a_sealed_column_says_what_it_is_sealed_for() -> None:
    models = rotation.sealing_models()
    assert {Target, Replica} <= set(models)
    assert [model for model in models if not isinstance(getattr(model, "seal_place", None), property)] == []


def test_value_written_meanwhile_is_not_overwritten(rings: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make_target(cast, "host")
    newer = make_target(cast, "other")
    seal_again, others = rotation.seal_again, iter([{"key": "newer"}])

    def interrupted(sealed: str, place: str) -> str:
        for secrets in others:  # once: somebody enters new credentials between our reading and our writing
            Target.objects.filter(pk=target.pk).update(sealed=targets.seal(json.dumps(secrets), target.seal_place))
        return seal_again(sealed, place)

    monkeypatch.setattr(rotation, "seal_again", interrupted)
    rotation.rotate_master_key()

    target.refresh_from_db()
    newer.refresh_from_db()
    assert targets.open_secrets(target) == {"key": "newer"}
    assert targets.open_secrets(newer) == {"key": "of other"}


def test_another_process_follows_without_a_new_start(
    rings: None, cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    running = KeyRing(tmp_path / "secrets" / "master_key")
    assert len(running) == 1
    target = make_target(cast, "host")

    rotation.rotate_master_key()

    target.refresh_from_db()
    settings.SLIPWAY_MASTER_KEYS = running
    assert len(running) == 2
    assert targets.open_secrets(target) == {"key": "of host"}


def test_earlier_master_keys_go_once_nothing_needs_them(rings: None, cast: Cast, settings: Settings) -> None:
    target = make_target(cast, "host")
    settings.SLIPWAY_MASTER_KEYS.rotate()  # and the machine stops before anything is sealed again

    with pytest.raises(CommandError, match="1 values still need an earlier master key"):
        call_command("rotate_keys", "master", "--forget")
    rotation.seal_all_again()
    call_command("rotate_keys", "master", "--forget")

    target.refresh_from_db()
    assert len(settings.SLIPWAY_MASTER_KEYS) == 1
    assert targets.open_secrets(target) == {"key": "of host"}


def test_value_that_no_key_opens_is_named(rings: None, cast: Cast) -> None:
    target = make_target(cast, "host")
    Target.objects.filter(pk=target.pk).update(sealed=make_target(cast, "other").sealed)

    with pytest.raises(CommandError, match=rf"targets.Target\|{target.pk}\|secrets does not open"):
        call_command("rotate_keys", "master")


def test_keys_from_before_and_after_a_new_pepper_are_accepted(rings: None, cast: Cast, settings: Settings) -> None:
    admission = Admission(settings.SLIPWAY_PEPPERS, failures_per_minute=20, in_flight_per_key=4)
    before = issue(cast, "before")
    call_command("rotate_keys", "pepper")
    after = issue(cast, "after")

    admission.replace_keys({row.key_id: as_gateway_sees(row) for row in ApiKey.objects.all()})
    for text in (before, after):
        assert find_key(text, "127.0.0.1") is not None
        assert admission.identify(f"Bearer {text}".encode(), "192.0.2.1", 0.0)


def test_earlier_peppers_stay_while_a_key_of_theirs_lives(rings: None, cast: Cast, settings: Settings) -> None:
    before = issue(cast, "before")
    call_command("rotate_keys", "pepper")
    ApiKey.objects.update(created_at=settings.SLIPWAY_PEPPERS.newest_since())

    with pytest.raises(CommandError, match="1 API keys were made before the last rotation"):
        call_command("rotate_keys", "pepper", "--forget")
    accounts.revoke_key(actor=cast.actor("ada"), key=ApiKey.objects.get())
    call_command("rotate_keys", "pepper", "--forget")

    assert len(settings.SLIPWAY_PEPPERS) == 1
    assert find_key(before, "127.0.0.1") is None


def test_each_rotation_leaves_one_entry(rings: None, cast: Cast) -> None:
    entries = Entry.objects.count()
    for kind in ("master", "pepper", "session"):
        call_command("rotate_keys", kind)
        call_command("rotate_keys", kind, "--forget")
    new = list(Entry.objects.order_by("seq").values_list("action", flat=True)[entries:])
    assert new == [
        "master_key.rotated", "master_key.earlier_removed",
        "pepper.rotated", "pepper.earlier_removed",
        "session_key.rotated", "session_key.earlier_removed",
    ]  # fmt: skip


def test_key_file_is_private_and_holds_the_newest_first(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "secrets" / "k")
    first = ring[0]
    ring.rotate()
    assert (len(ring), ring[1]) == (2, first)
    assert ring.path.stat().st_mode & 0o077 == 0
    assert KeyRing(ring.path)[:] == ring[:]


def issue(cast: Cast, name: str) -> str:
    return accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name=name, scopes=["invoke:*"]).text


def as_gateway_sees(row: ApiKey) -> Key:
    return Key(row.key_id, bytes(row.digest), row.project.slug, frozenset(row.scopes), row.expires_at.timestamp(), 60)
