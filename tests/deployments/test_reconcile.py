"""What runs comes to be what is wanted, whatever happens on the way."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from apps.core import leases
from apps.core.errors import NotAllowed, StateConflict
from apps.deployments import observing, selectors
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica, Route
from apps.library.models import ModelVersion
from apps.monitoring.overview import cards
from apps.releases import services as releases
from apps.releases.models import Release
from apps.targets.models import Endpoint
from tests.cast import Cast
from tests.deployments.conftest import Look
from worker.drivers.fake import FakeTarget
from worker.errors import ToolError
from worker.tasks.starts import start_due

Built = Callable[..., Release]


def start(cast: Cast, release: Release) -> Deployment:
    return deployments.start_release(actor=cast.actor("omar"), release=release)


def weights(endpoint: Endpoint) -> dict[int, int]:
    return dict(Route.objects.filter(endpoint=endpoint).values_list("deployment_id", "weight"))


def test_a_release_takes_the_traffic_once_all_replicas_are_healthy(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built(replicas=2))
    assert look(deployment).phase == "starting"
    assert weights(endpoint) == {}
    look(deployment, times=2)
    assert (deployment.phase, deployment.observed_generation) == ("running", 1)
    assert weights(endpoint) == {deployment.pk: 100}
    assert len(target.replicas) == 2
    assert [(s.name, s.state) for s in deployment.steps.all()] == [
        ("start", "done"),
        ("healthy", "done"),
        ("route", "done"),
    ]


def test_the_next_release_takes_over_and_the_one_before_is_drained(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    first, second = start(cast, built()), None
    look(first, times=3)
    second = start(cast, built())
    look(second, times=2)
    assert weights(endpoint) == {first.pk: 100}, "the old one serves until the new one is well"
    look(second)
    assert weights(endpoint) == {second.pk: 100}
    look(first, times=2)
    assert (first.phase, first.is_wanted) == ("stopped", False)
    assert list(target.replicas) == [f"slipway-{second.pk}-{second.release_id}-0"]


def test_a_replica_removed_by_hand_is_back(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    target.replicas.clear()
    assert look(deployment).phase == "degraded"
    assert len(target.replicas) == 1
    look(deployment, times=2)
    assert deployment.phase == "running"
    assert deployment.steps.filter(name="restart").count() == 1


def test_a_replica_too_busy_to_say_that_it_is_ready_keeps_its_traffic_for_a_while(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look, health: dict[str, bool | None]
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    (address,) = [replica.address for replica in target.replicas.values()]
    health[address] = None
    assert look(deployment).phase == "running"
    assert deployment.due_at < timezone.now() + timedelta(seconds=1), "it is asked again soon"
    del health[address]
    assert look(deployment).phase == "running"
    health[address] = None
    assert look(deployment).phase == "running", "it has answered since"
    assert look(deployment).phase == "degraded", "silent twice in a row"
    del health[address]
    assert look(deployment, times=2).phase == "running"


def test_a_replica_that_says_it_is_not_ready_loses_its_traffic_at_once(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look, health: dict[str, bool | None]
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    health.update({replica.address: False for replica in target.replicas.values()})
    assert look(deployment).phase == "degraded"


def test_a_deployment_that_never_comes_up_fails_with_the_log_line_and_the_old_one_stays(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    good = start(cast, built())
    look(good, times=3)
    target.crash_on_start = "ImportError: no module named onnxruntime"
    bad = start(cast, built())
    look(bad, after=10, times=6)
    assert (bad.phase, bad.failure_kind, bad.is_wanted) == ("failed", "crashed", False)
    assert "ImportError" in bad.failure_log
    assert weights(endpoint) == {good.pk: 100}
    assert all(name.startswith(f"slipway-{good.pk}-") for name in target.replicas)
    assert bad.steps.filter(state="failed").exists()


def test_bytes_that_are_not_the_approved_ones_are_never_started(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    release = built()
    target.digests[release.builds.get().location] = "sha256:another"
    deployment = look(start(cast, release))
    assert (deployment.phase, deployment.failure_kind) == ("failed", "digest_mismatch")
    assert not target.replicas


def test_a_version_changed_after_approval_is_never_started(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    release = built()
    deployment = start(cast, release)
    ModelVersion.objects.filter(pk=release.version_id).update(golden={"request": "another"})
    assert look(deployment).failure_kind == "subject_changed"
    assert not target.replicas


def test_a_target_that_does_not_answer_changes_nothing_and_is_asked_again(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    target.unreachable = ToolError("connection refused", kind="unreachable")
    look(deployment)
    assert deployment.phase == "running"
    assert deployment.conditions["unreachable"]["kind"] == "unreachable"
    target.unreachable = None
    Deployment.objects.update(due_at=None)
    assert look(deployment).conditions == {"healthy": 1}


def test_a_worker_killed_in_the_middle_is_continued_by_the_next(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    ghost = observing.begin_reconcile(deployment.pk)
    assert ghost is not None
    assert look(deployment, times=3).phase == "pending", "the lease keeps others out"
    leases.forfeit(Deployment)
    assert look(deployment, times=3).phase == "running"
    with pytest.raises(StateConflict):
        observing.finish_wanted(ghost)


def test_a_deployment_that_kills_its_workers_is_parked(cast: Cast, endpoint: Endpoint, built: Built) -> None:
    deployment = start(cast, built())
    for _ in range(observing.PARK_AFTER):
        assert observing.begin_reconcile(deployment.pk) is not None
        leases.forfeit(Deployment)
    assert observing.begin_reconcile(deployment.pk) is None
    deployment.refresh_from_db()
    assert "parked" in deployment.conditions
    assert not leases.due(Deployment).exists()


def test_scaling_adds_and_drains_replicas(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    deployments.scale(actor=cast.actor("omar"), deployment=deployment, replicas=3)
    look(deployment, times=3)
    assert (deployment.phase, len(target.replicas)) == ("running", 3)
    deployments.scale(actor=cast.actor("omar"), deployment=deployment, replicas=1)
    look(deployment, after=0.1)
    draining = Replica.objects.filter(deployment=deployment, state="draining").count()
    assert (draining, len(target.replicas)) == (2, 3), "gateways forget them first"
    look(deployment, times=2)
    assert len(target.replicas) == 1


def test_stopping_takes_the_traffic_first(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    deployments.stop(actor=cast.actor("omar"), deployment=deployment)
    assert weights(endpoint) == {}
    assert len(target.replicas) == 1
    look(deployment, times=2)
    assert (deployment.phase, len(target.replicas)) == ("stopped", 0)


def test_a_second_ring_does_not_stop_what_gateways_still_ask(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    deployments.stop(actor=cast.actor("omar"), deployment=deployment)
    look(deployment)
    assert look(deployment, after=0.1).phase == "stopping"
    assert len(target.replicas) == 1
    assert look(deployment).phase == "stopped"


def test_rolling_back_runs_the_last_good_release_again(
    cast: Cast, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    first = start(cast, built())
    look(first, times=3)
    second = start(cast, built())
    look(second, times=3)
    look(first, times=3)
    back = deployments.roll_back(actor=cast.actor("omar"), endpoint=endpoint)
    assert (back.release_id, back.cause) == (first.release_id, "rollback")
    look(back, times=3)
    assert weights(endpoint) == {back.pk: 100}


def test_without_an_earlier_release_there_is_nothing_to_roll_back_to(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look
) -> None:
    look(start(cast, built()), times=3)
    with pytest.raises(StateConflict, match="no earlier release"):
        deployments.roll_back(actor=cast.actor("omar"), endpoint=endpoint)


def test_a_withdrawn_release_cannot_be_started(cast: Cast, endpoint: Endpoint, built: Built) -> None:
    release = built()
    releases.withdraw(actor=cast.actor("dana"), release=release)
    with pytest.raises(StateConflict, match="only an approved release"):
        start(cast, release)


def test_what_the_environment_starts_by_itself_is_found_by_the_sweep(
    cast: Cast, endpoint: Endpoint, built: Built
) -> None:
    release = built()
    assert [row.pk for row in selectors.due_starts()] == [release.pk]
    start_due()
    assert Deployment.objects.get().release_id == release.pk
    assert not selectors.due_starts().exists()


@pytest.mark.parametrize("name", ["vic", "dana", "rhea", "sam"])
def test_only_operators_start(cast: Cast, endpoint: Endpoint, built: Built, name: str) -> None:
    with pytest.raises(NotAllowed):
        deployments.start_release(actor=cast.actor(name), release=built())


def test_the_database_refuses_a_deployment_of_what_was_not_approved(
    cast: Cast, endpoint: Endpoint, built: Built
) -> None:
    release = built()
    releases.withdraw(actor=cast.actor("dana"), release=release)
    with pytest.raises(DatabaseError), transaction.atomic():
        Deployment.objects.create(
            project=release.project,
            endpoint=endpoint,
            release=release,
            build=release.builds.get(),
            target=release.target,
        )


@pytest.mark.parametrize(
    ("states", "word"),
    [(("running", "running"), "running"), (("running", "exited"), "degraded"), (("exited", "exited"), "failed")],
)
def test_an_endpoint_has_the_same_word_everywhere(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look, states: tuple[str, str], word: str
) -> None:
    look(start(cast, built(replicas=2)), times=3)
    for index, state in enumerate(states):
        Replica.objects.filter(index=index).update(state=state)
    (row,) = selectors.endpoint_rows(cast.actor("omar"), cast.project)
    (card,) = cards(cast.project, [], timezone.now())
    assert (selectors.endpoint_state(endpoint), row.state, card.state) == (word, word, word)


def test_the_list_of_endpoints_takes_a_constant_number_of_queries(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look, django_assert_max_num_queries
) -> None:
    look(start(cast, built()), times=3)
    with django_assert_max_num_queries(4):
        rows = selectors.endpoint_rows(cast.actor("omar"), cast.project)
    assert [(row.state, row.ready) for row in rows] == [("running", 1)]
