"""``manage.py selfcheck`` says that everything holds, or where it does not."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from apps.audit.checkpoints import append, sign
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica, Route
from apps.library.models import Artifact
from apps.library.store import get_store
from apps.releases.models import Build, Release, Review
from controlplane import selfcheck
from tests.cast import Cast
from tests.deployments.conftest import Look
from worker.drivers.fake import FakeTarget
from worker.errors import ToolError


@pytest.fixture
def running(
    cast: Cast, built: Callable[..., Release], look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    """Two replicas that serve, and a system in which everything holds."""
    monkeypatch.setattr(selfcheck, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(settings, "SLIPWAY_HOME", tmp_path)  # where the log's earlier checkpoints lie
    for artifact in Artifact.objects.all():
        artifact.delete()
    row = look(deployments.start_release(actor=cast.actor("omar"), release=built(replicas=2)), times=3)
    for artifact in Artifact.objects.all():
        stored = get_store().put(io.BytesIO(artifact.sha256.encode()))
        Artifact.objects.create(sha256=stored.sha256, size=stored.size)
        artifact.files.update(artifact_id=stored.sha256)
        artifact.delete()
    return row


def problems(**options: bool) -> dict[str, list[str]]:
    found = selfcheck.find_problems(**options)
    return {name: lines for name, lines in found.items() if lines}


def only(name: str) -> str:
    """The one sentence about the only thing that does not hold."""
    found = problems()
    assert set(found) == {name}, found
    assert len(found[name]) == 1, found
    return found[name][0]


def test_a_system_at_rest_holds(running: Deployment) -> None:
    assert problems(is_deep=True) == {}
    output = io.StringIO()
    call_command("selfcheck", stdout=output)
    assert "Everything holds." in output.getvalue()


def test_the_command_ends_with_a_code_that_a_monitor_understands(running: Deployment) -> None:
    Route.objects.update(weight=90)
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("selfcheck", stdout=output, stderr=output)
    assert ended.value.code == 1
    assert "sum to 90 %" in output.getvalue()


def test_a_route_to_a_replica_that_is_not_there(running: Deployment, target: FakeTarget) -> None:
    name = next(iter(target.replicas))
    del target.replicas[name]
    assert f"calls go to replica {name} at" in only("calls go to what runs")


def test_a_route_to_a_replica_that_is_somewhere_else(running: Deployment) -> None:
    Replica.objects.filter(index=0).update(address="127.0.0.1:9")
    assert "at 127.0.0.1:9, where it does not run" in only("calls go to what runs")


def test_a_running_deployment_without_replicas(running: Deployment) -> None:
    Replica.objects.update(state="starting")
    assert "none of its replicas does" in only("calls go to what runs")


def test_an_orphan(running: Deployment, target: FakeTarget) -> None:
    status = next(iter(target.replicas.values()))
    target.replicas["stray"] = replace(status, name="stray", labels={**status.labels, "deployment": "999"})
    assert only("nothing of ours is left over anywhere").startswith("stray runs on target “lab”")


def test_what_does_not_carry_our_label_is_none_of_our_business(running: Deployment, target: FakeTarget) -> None:
    status = next(iter(target.replicas.values()))
    target.replicas["foreign"] = replace(status, name="foreign", labels={"deployment": "999"})
    assert problems() == {}


def test_other_bytes_than_were_built(running: Deployment, target: FakeTarget) -> None:
    name, status = next(iter(target.replicas.items()))
    target.replicas[name] = replace(status, digest="sha256:another")
    assert f"{name} runs sha256:another" in only("what runs is what was built")


def test_a_target_that_does_not_answer_is_all_that_is_said_of_it(running: Deployment, target: FakeTarget) -> None:
    target.unreachable = ToolError("connection refused", kind="unreachable")
    assert only("every target answers") == "target “lab” does not answer: connection refused"


def test_a_release_with_too_few_approvals_of_what_it_is(running: Deployment) -> None:
    Review.objects.all().delete()
    assert "has 0 of 1 approvals" in only("what runs was approved")


def test_a_release_that_was_taken_back_and_is_wanted_still(running: Deployment) -> None:
    Release.objects.update(state="withdrawn")
    assert "is withdrawn" in only("what runs was approved")


def test_a_stuck_lease(running: Deployment) -> None:
    Deployment.objects.update(lease_until=timezone.now() + timedelta(days=1))
    assert "longer than any lease lasts" in only("no lease is stuck")


def test_work_that_nobody_does(running: Deployment) -> None:
    Deployment.objects.update(due_at=timezone.now() - timedelta(hours=1))
    assert "is a worker running?" in only("nothing that is due is neglected")


def test_work_that_everybody_has_forgotten(running: Deployment) -> None:
    Build.objects.update(state="running", due_at=None, lease_until=None)
    found = problems()
    assert "under way" in found["nothing under way is forgotten"][0]


def test_a_log_that_was_changed(running: Deployment) -> None:
    append(sign(10_000, "f" * 64))
    assert "it was cut off" in only("the audit log is whole")


def test_bytes_that_are_gone_and_bytes_that_are_damaged(running: Deployment) -> None:
    artifact = Artifact.objects.get()
    Artifact.objects.update(size=artifact.size + 1)
    assert f"it should have {artifact.size + 1}" in only("stored bytes are there")
    get_store().delete(artifact.sha256)
    assert "gone from the store" in only("stored bytes are there")
