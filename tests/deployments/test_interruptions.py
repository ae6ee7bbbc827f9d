"""A look at a deployment is cut off, overtaken, or people want something else meanwhile: nothing gets lost by it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from apps.core import leases
from apps.core.errors import StateConflict
from apps.deployments import observing
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica, Route
from apps.gateway import snapshot
from apps.gateway.snapshot import load_snapshot
from apps.releases.models import Release
from tests.cast import Cast
from tests.deployments.conftest import Look
from worker.drivers.fake import FakeDriver, FakeTarget
from worker.tasks import reconcile as tasks
from worker.tasks.orphans import clear_orphans

Built = Callable[..., Release]


@pytest.fixture
def started(cast: Cast, built: Built) -> Deployment:
    return deployments.start_release(actor=cast.actor("omar"), release=built())


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway looks after the connections of its own process; here there is the story's one, in a transaction."""
    monkeypatch.setattr(snapshot, "close_old_connections", lambda: None)


def routed() -> list[str]:
    endpoints = load_snapshot().endpoints.values()
    return [replica.id for endpoint in endpoints for route in endpoint.routes for replica in route.replicas]


def test_a_replica_whose_starter_died_before_writing_it_down_gets_calls(
    started: Deployment, look: Look, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(observing, "note_started", _die)
        look(started)
    leases.forfeit(Deployment)
    assert look(started, times=3).phase == "running"
    assert target.starts == 1
    assert routed() == list(target.replicas)


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_wish_during_a_look_is_looked_at_next(cast: Cast, started: Deployment, look: Look) -> None:
    look(started, times=3)
    deployments.stop(actor=cast.actor("omar"), deployment=started)
    look(started, times=2)
    late = observing.begin_reconcile(started.pk)
    assert late is not None
    deployments.start(actor=cast.actor("omar"), deployment=Deployment.objects.get(pk=started.pk))
    observing.finish_unwanted(late, is_gone=True)
    assert leases.due(Deployment).filter(pk=started.pk).exists()
    assert look(started, times=4).phase == "running"


def test_what_people_want_is_due_by_the_databases_clock(cast: Cast, built: Built) -> None:
    omar = cast.actor("omar")
    with time_machine.travel(timezone.now() + timedelta(hours=1)):  # of this machine; the database has its own
        made = deployments.start_release(actor=omar, release=built())
        assert leases.due(Deployment).filter(pk=made.pk).exists()
        Deployment.objects.update(due_at=None)
        made.refresh_from_db()
        deployments.scale(actor=omar, deployment=made, replicas=2)
        assert leases.due(Deployment).filter(pk=made.pk).exists()


def test_what_was_stopped_during_a_look_does_not_take_the_traffic(cast: Cast, started: Deployment, look: Look) -> None:
    look(started, times=2)
    late = observing.begin_reconcile(started.pk)
    assert late is not None
    Replica.objects.update(state="running")
    deployments.stop(actor=cast.actor("omar"), deployment=Deployment.objects.get(pk=started.pk))
    observing.finish_wanted(late)
    assert not Route.objects.exists()


def test_a_start_while_it_still_stops_keeps_what_runs(
    cast: Cast, started: Deployment, look: Look, target: FakeTarget
) -> None:
    look(started, times=3)
    secret = observing.replica_secret(started.replica_set.get())
    deployments.stop(actor=cast.actor("omar"), deployment=started)
    look(started)
    assert target.replicas, "it drains first"
    deployments.start(actor=cast.actor("omar"), deployment=started)
    assert look(started, times=3).phase == "running"
    assert observing.replica_secret(started.replica_set.get()) == secret
    assert target.starts == 1


def test_a_worker_that_was_overtaken_changes_nothing(
    started: Deployment, look: Look, target: FakeTarget, tmp_path: Path
) -> None:
    look(started, times=3)
    ghost = observing.begin_reconcile(started.pk)
    assert ghost is not None
    row = ghost.replica_set.get()
    leases.forfeit(Deployment)
    observing.note_probe(row, address="127.0.0.1:1", is_ready=False)
    observing.note_exit(row, kind="gone", reason={}, log="")
    observing.was_drained(row)
    with pytest.raises(StateConflict):
        observing.mark_draining(ghost)
    with pytest.raises(StateConflict):
        tasks.start_replica(ghost, FakeDriver("lab", tmp_path), row, target.replicas[row.name])
    assert routed() == list(target.replicas) == [row.name]


def test_what_is_wanted_again_is_no_orphan_by_the_time_it_is_reached(
    cast: Cast, started: Deployment, look: Look, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(started, times=3)
    runs = target.replicas.copy()
    deployments.stop(actor=cast.actor("omar"), deployment=started)
    look(started, times=3)
    (status,) = runs.values()
    target.replicas |= {name: replace(status, name=name) for name in ("a", "b")}
    stop = FakeDriver.stop

    def stop_and_want_again(driver: FakeDriver, name: str, drain_seconds: float) -> None:
        stop(driver, name, drain_seconds)
        Deployment.objects.update(is_wanted=True)

    monkeypatch.setattr(FakeDriver, "stop", stop_and_want_again)
    clear_orphans()
    assert len(target.replicas) == 1
