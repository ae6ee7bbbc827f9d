"""Targets, environments and endpoints: made, changed, checked, and kept apart by project."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed
from apps.core.sealing import SealBroken
from apps.targets import services as targets
from apps.targets.models import Endpoint, Environment, Target
from tests import world
from tests.cast import Cast
from worker.tasks.check_target import check_target


def client(cast: Cast, name: str) -> Client:
    made = Client()
    made.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
    return made


def test_a_new_project_is_equipped_with_this_machine_and_two_environments(cast: Cast) -> None:
    assert targets.equip() == 2
    assert targets.equip() == 0
    assert list(Environment.objects.filter(project=cast.project).values_list("name", flat=True)) == [
        "production",
        "staging",
    ]
    assert Target.objects.get().name == "this-machine"


def test_credentials_are_sealed_for_their_row_and_never_come_back(cast: Cast) -> None:
    cast.users["ada"].is_superuser = True
    cast.users["ada"].save()
    row = targets.create_target(actor=cast.actor("ada"), name="gpu", kind="process", secrets={"token": "s3cr3t-t0ken"})
    row.refresh_from_db()
    assert targets.open_secrets(row) == {"token": "s3cr3t-t0ken"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM targets_target")
        dump = json.dumps(cursor.fetchall(), default=str)
    assert "s3cr3t-t0ken" not in dump + "".join(Entry.objects.values_list("after", flat=True))
    other = targets.create_target(actor=cast.actor("ada"), name="other", kind="process")
    other.sealed = row.sealed
    with pytest.raises(SealBroken):
        targets.open_secrets(other)


def test_only_the_installations_administrators_add_targets(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        targets.create_target(actor=cast.actor("ada"), name="gpu", kind="process")


def test_a_check_writes_down_what_it_saw(cast: Cast) -> None:
    row = world.target("lab", "fake")
    check_target(row.pk)
    row.refresh_from_db()
    assert row.is_reachable
    assert row.check_lines[0]["ok"]
    assert row.nodes[0]["cpus"] == 4.0


def test_an_edit_is_audited_with_before_and_after_and_no_edit_is_not(cast: Cast) -> None:
    row = world.environment(cast)
    ada = cast.actor("ada")
    targets.edit_environment(actor=ada, environment=row, approvals_required=1)
    assert not Entry.objects.exists()
    targets.edit_environment(actor=ada, environment=row, approvals_required=2)
    entry = Entry.objects.get()
    assert (json.loads(entry.before), json.loads(entry.after)) == (
        {"approvals_required": 1},
        {"approvals_required": 2},
    )


def test_an_endpoint_name_is_free_once_per_project(cast: Cast) -> None:
    world.endpoint(cast)
    with pytest.raises(Invalid, match="already"):
        targets.create_endpoint(
            actor=cast.actor("omar"), project=cast.project, name="digits", environment=world.environment(cast)
        )


def test_pages_answer_and_forms_write(cast: Cast) -> None:
    world.endpoint(cast)
    ada, omar = client(cast, "ada"), client(cast, "omar")
    for name in ("targets", "environments", "endpoint_new"):
        assert omar.get(reverse(f"targets:{name}", args=["digits-team"])).status_code == 200
    assert omar.get(reverse("targets:target", args=["digits-team", "this-machine"])).status_code == 200
    assert omar.get(reverse("targets:environment_new", args=["digits-team"])).status_code == 403
    form = {"target": Target.objects.get().pk, "approvals_required": 2, "approval_days": 7, "description": "Careful"}
    answer = ada.post(reverse("targets:environment_edit", args=["digits-team", "production"]), form)
    assert answer.status_code == 302
    row = Environment.objects.get(name="production")
    assert (row.approvals_required, row.starts_by_itself) == (2, False)
    form = {"name": "Second", "environment": row.pk, "max_body_mb": 5, "timeout_seconds": 3}
    answer = omar.post(reverse("targets:endpoint_new", args=["digits-team"]), form)
    made = Endpoint.objects.get(name="second")
    assert answer.url == reverse("deployments:endpoint", args=["digits-team", "second"])
    assert (made.max_body_bytes, made.is_idempotent) == (5 << 20, False)
    form = {"max_body_mb": 1, "timeout_seconds": 9, "is_idempotent": "on"}
    omar.post(reverse("targets:endpoint_edit", args=["digits-team", "second"]), form)
    made.refresh_from_db()
    assert (made.max_body_bytes, made.timeout_seconds, made.is_idempotent) == (1 << 20, 9.0, True)


def test_a_taken_name_is_told_beside_its_field(cast: Cast) -> None:
    row = world.environment(cast)
    world.endpoint(cast, "digits")
    form = {"name": "digits", "environment": row.pk, "max_body_mb": 5, "timeout_seconds": 3}
    answer = client(cast, "omar").post(reverse("targets:endpoint_new", args=["digits-team"]), form)
    assert (answer.status_code, answer.context["form"].errors["name"]) == (422, ["Taken."])
    form = {"name": row.name, "target": row.target_id, "approvals_required": 1, "approval_days": 30}
    answer = client(cast, "ada").post(reverse("targets:environment_new", args=["digits-team"]), form)
    assert (answer.status_code, answer.context["form"].errors["name"]) == (422, ["Taken."])


def test_a_way_back_is_only_to_our_own_pages(cast: Cast) -> None:
    form = {"name": "third", "environment": world.environment(cast).pk, "max_body_mb": 5, "timeout_seconds": 3}
    address = reverse("targets:endpoint_new", args=["digits-team"])
    answer = client(cast, "omar").post(f"{address}?next=https://evil.example/", form)
    assert answer.url.startswith("/p/digits-team/")
