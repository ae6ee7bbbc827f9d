"""Two who change what runs at one endpoint at the same moment: one waits for the other, and sees what that one did."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from apps.core.errors import StateConflict
from apps.deployments import going_live, observing, services
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica, Route
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint
from tests import world
from tests.cast import Cast
from tests.engines.stores.conftest import is_somebody_waiting
from tests.promises.beds import wait_for

Do = Callable[[], Any]
Meanwhile = Callable[[object, str, Do], "Future[Any]"]


@pytest.fixture
def endpoint(people: Cast) -> Endpoint:
    return world.endpoint(people, target=world.target("lab", "fake"))


@pytest.fixture
def approved(people: Cast, endpoint: Endpoint) -> Callable[[], Release]:
    """Makes one more release of the endpoint that was approved and built."""

    def make() -> Release:
        version = world.ready_version(people)
        release = releases.propose(actor=people.actor("dana"), version=version, endpoint=endpoint)
        releases.approve(actor=people.actor("rhea"), release=release, subject=release.subject)
        Build.objects.filter(release=release).update(state="done", due_at=None, digest=f"sha256:{version.digest}")
        return release

    return make


@pytest.fixture
def started(people: Cast, approved: Callable[[], Release]) -> Callable[[], Deployment]:
    return lambda: deployments.start_release(actor=people.actor("omar"), release=approved())


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    """When the function of that name is called next, somebody else does something first, or until they have to wait."""
    with ThreadPoolExecutor(1) as pool:

        def arrange(module: object, name: str, do: Do) -> "Future[Any]":
            ahead, present = Future[Any](), getattr(module, name)

            def interrupted(*args: Any, **named: Any) -> Any:
                monkeypatch.setattr(module, name, present)
                other = pool.submit(_alone, do, ahead)
                wait_for(lambda: other.done() or is_somebody_waiting())
                return present(*args, **named)

            monkeypatch.setattr(module, name, interrupted)
            return ahead

        yield arrange


def _alone(do: Do, ahead: "Future[Any]") -> None:
    """On a connection of its own, as a thread has one."""
    try:
        ahead.set_result(do())
    except Exception as error:
        ahead.set_exception(error)
    finally:
        connection.close()


def healthy(deployment: Deployment) -> Deployment:
    """In the hands of a worker who finds all of its replicas well."""
    held = observing.begin_reconcile(deployment.pk)
    assert held is not None
    observing.expect_replicas(held)
    held.replica_set.update(state=Replica.State.RUNNING)
    return held


def finish(deployment: Deployment) -> Deployment:
    return observing.finish_wanted(healthy(deployment))


def serving(endpoint: Endpoint) -> dict[int, int]:
    """Who is to run at the endpoint, each with its share of the traffic."""
    wanted = Deployment.objects.filter(endpoint=endpoint, is_wanted=True)
    weights = dict(Route.objects.filter(endpoint=endpoint).values_list("deployment", "weight"))
    assert set(weights) <= set(wanted.values_list("pk", flat=True)), "calls go to what nobody wants"
    return {row.pk: weights.get(row.pk, 0) for row in wanted}


def unapproved() -> list[Deployment]:
    return list(Deployment.objects.filter(is_wanted=True).exclude(release__state=Release.State.APPROVED))


def test_what_is_started_while_its_release_is_superseded_is_refused(
    people: Cast, started: Callable[[], Deployment], endpoint: Endpoint, meanwhile: Meanwhile
) -> None:
    omar, old = people.actor("omar"), started()
    deployments.stop(actor=omar, deployment=finish(old))
    new, old = healthy(started()), Deployment.objects.get(pk=old.pk)
    start = meanwhile(going_live, "advance", lambda: deployments.start(actor=omar, deployment=old))
    observing.finish_wanted(new)
    with pytest.raises(StateConflict, match="superseded"):
        start.result(10)
    assert unapproved() == []
    assert serving(endpoint) == {new.pk: 100}


def test_what_is_rolled_back_to_while_its_release_is_superseded_runs(
    people: Cast, started: Callable[[], Deployment], endpoint: Endpoint, meanwhile: Meanwhile
) -> None:
    omar, old = people.actor("omar"), finish(started())
    deployments.stop(actor=omar, deployment=old)
    new = healthy(started())
    again = meanwhile(going_live, "advance", lambda: deployments.roll_back(actor=omar, endpoint=endpoint, to=old).pk)
    observing.finish_wanted(new)
    assert unapproved() == []
    assert finish(Deployment.objects.get(pk=again.result(10))).live_at is not None
    assert list(serving(endpoint).values()) == [100]


def test_two_that_are_healthy_at_once_go_live_one_after_the_other(
    started: Callable[[], Deployment], endpoint: Endpoint, meanwhile: Meanwhile
) -> None:
    finish(started())
    first, second = healthy(started()), healthy(started())
    other = meanwhile(going_live, "_newer_is_live", lambda: observing.finish_wanted(second))
    observing.finish_wanted(first)
    other.result(10)
    assert serving(endpoint) == {second.pk: 100}


def test_going_live_while_another_is_given_the_traffic_leaves_none_of_it_to_nobody(
    people: Cast, started: Callable[[], Deployment], endpoint: Endpoint, meanwhile: Meanwhile
) -> None:
    old, new = finish(started()), healthy(started())
    live = meanwhile(services, "_route_all_to", lambda: observing.finish_wanted(new))
    deployments.roll_back(actor=people.actor("omar"), endpoint=endpoint, to=old)
    live.result(10)
    assert serving(endpoint) == {new.pk: 100}


def test_what_stops_while_traffic_is_shared_out_gets_none_of_it(
    people: Cast, started: Callable[[], Deployment], endpoint: Endpoint, meanwhile: Meanwhile
) -> None:
    omar, old, new = people.actor("omar"), finish(started()), started()
    Deployment.objects.filter(pk=new.pk).update(phase=Deployment.Phase.RUNNING)
    stopped = meanwhile(services, "shares", lambda: deployments.stop(actor=omar, deployment=old))
    deployments.set_traffic(actor=omar, endpoint=endpoint, weights={old.pk: 50, new.pk: 50})
    stopped.result(10)
    assert serving(endpoint) == {new.pk: 100}


def test_a_release_that_two_start_at_once_is_started_once(
    people: Cast, approved: Callable[[], Release], meanwhile: Meanwhile
) -> None:
    omar, release = people.actor("omar"), approved()
    same = Release.objects.get(pk=release.pk)
    other = meanwhile(services, "record", lambda: deployments.start_release(actor=omar, release=same))
    deployments.start_release(actor=omar, release=release)
    with pytest.raises(StateConflict, match="running already"):
        other.result(10)
    assert Deployment.objects.filter(is_wanted=True).count() == 1


def test_a_release_is_withdrawn_before_or_after_it_is_superseded(
    people: Cast, started: Callable[[], Deployment], approved: Callable[[], Release], meanwhile: Meanwhile
) -> None:
    ada, earlier, new = people.actor("ada"), approved(), healthy(started())
    withdrawn = meanwhile(going_live, "advance", lambda: releases.withdraw(actor=ada, release=earlier))
    observing.finish_wanted(new)
    if (error := withdrawn.exception(10)) is not None:
        assert isinstance(error, StateConflict)
    earlier.refresh_from_db()
    assert earlier.state == ("withdrawn" if error is None else "superseded")


def test_what_is_withdrawn_while_releases_expire_keeps_none_of_them_from_it(
    people: Cast, approved: Callable[[], Release], meanwhile: Meanwhile
) -> None:
    ada, rows = people.actor("ada"), [approved(), approved()]
    Release.objects.update(expires_at=rows[0].created_at)
    last = Release.objects.all()[1]
    withdrawn = meanwhile(releases, "advance", lambda: releases.withdraw(actor=ada, release=last))
    assert releases.expire_releases() == 2
    with pytest.raises(StateConflict):
        withdrawn.result(10)
