"""A canary: it runs beside what serves, gets the share it is given, and either takes over or goes."""

from collections.abc import Callable

import pytest

from apps.core.errors import StateConflict
from apps.deployments import selectors
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Route
from apps.releases.models import Release
from apps.targets.models import Endpoint
from controlplane import selfcheck
from tests.cast import Cast
from tests.deployments.conftest import Look

Built = Callable[..., Release]


@pytest.fixture
def pair(cast: Cast, built: Built, look: Look) -> tuple[Deployment, Deployment]:
    """What serves, and a canary that has been started since."""
    stable = look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    canary = deployments.start_release(actor=cast.actor("omar"), release=built(options={"canary": True}))
    return stable, look(canary, times=3)


def weights(endpoint: Endpoint) -> dict[int, int]:
    return dict(Route.objects.filter(endpoint=endpoint).values_list("deployment_id", "weight"))


def split(cast: Cast, endpoint: Endpoint, *shares: tuple[Deployment, int]) -> None:
    given = {deployment.pk: share for deployment, share in shares}
    deployments.set_traffic(actor=cast.actor("omar"), endpoint=endpoint, weights=given)


def test_a_canary_runs_beside_what_serves_and_has_no_traffic(
    endpoint: Endpoint, pair: tuple[Deployment, Deployment], look: Look
) -> None:
    stable, canary = pair
    look(canary, times=2)
    assert (canary.phase, canary.live_at) == ("running", None)
    assert weights(endpoint) == {stable.pk: 100}
    assert [step.name for step in canary.steps.all()] == ["start", "healthy", "beside"], "once each"
    assert [step.name for step in canary.steps.filter(state="running")] == ["beside"]
    assert look(stable).is_wanted
    assert {row.pk for row in selectors.running(endpoint)} == {stable.pk, canary.pk}
    assert [row.pk for row in selectors.good(endpoint)] == [stable.pk], "it never served"


def test_a_canary_that_was_given_a_share_has_served(
    cast: Cast, endpoint: Endpoint, pair: tuple[Deployment, Deployment], look: Look
) -> None:
    stable, canary = pair
    split(cast, endpoint, (stable, 90), (canary, 10))
    look(canary)
    assert canary.live_at is not None
    assert weights(endpoint) == {stable.pk: 90, canary.pk: 10}
    assert look(stable).is_wanted
    assert not canary.steps.filter(state="running").exists()


@pytest.mark.parametrize("ended", [0, 1], ids=["stable", "canary"])
def test_what_is_stopped_leaves_its_share_to_the_other(
    cast: Cast, endpoint: Endpoint, pair: tuple[Deployment, Deployment], ended: int
) -> None:
    split(cast, endpoint, (pair[0], 90), (pair[1], 10))
    deployments.stop(actor=cast.actor("omar"), deployment=pair[ended])
    assert weights(endpoint) == {pair[1 - ended].pk: 100}
    assert list(selfcheck.uneven_routes(selfcheck.World())) == []


def test_the_next_release_replaces_both(
    cast: Cast, endpoint: Endpoint, pair: tuple[Deployment, Deployment], built: Built, look: Look
) -> None:
    split(cast, endpoint, (pair[0], 90), (pair[1], 10))
    look(pair[1])
    following = look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    assert weights(endpoint) == {following.pk: 100}
    assert [look(one, times=3).phase for one in pair] == ["stopped", "stopped"]
    assert set(Release.objects.values_list("state", flat=True)) == {"approved", "superseded"}


def test_where_nothing_serves_a_canary_takes_the_traffic(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look
) -> None:
    canary = deployments.start_release(actor=cast.actor("omar"), release=built(options={"canary": True}))
    look(canary, times=3)
    assert weights(endpoint) == {canary.pk: 100}


def test_a_canary_that_does_not_run_gets_no_share(
    cast: Cast, endpoint: Endpoint, pair: tuple[Deployment, Deployment]
) -> None:
    stable, canary = pair
    deployments.stop(actor=cast.actor("omar"), deployment=canary)
    with pytest.raises(StateConflict, match="is not running"):
        split(cast, endpoint, (stable, 90), (canary, 10))
    assert weights(endpoint) == {stable.pk: 100}
