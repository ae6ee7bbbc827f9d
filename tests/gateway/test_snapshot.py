"""The snapshot out of the tables: who may call, what runs, and nothing else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import ApiKey
from apps.core import keys
from apps.deployments.credentials import seal_secret
from apps.deployments.models import Deployment, Replica, Route
from apps.gateway import tables
from apps.gateway.snapshot import load_snapshot
from apps.releases import services as releases
from apps.releases.models import Build
from tests import world
from tests.cast import Cast

QUERIES = 3


def make_key(cast: Cast, *scopes: str, **fields: object) -> ApiKey:
    minted = keys.mint()
    values = {"expires_at": timezone.now() + timedelta(days=1), "created_by": cast.user("omar"), **fields}
    return ApiKey.objects.create(
        key_id=minted.key_id,
        prefix=keys.LIVE,
        last4=minted.text[-4:],
        digest=keys.digest(b"pepper", minted.secret),
        name="a key",
        project=cast.project,
        scopes=list(scopes),
        **values,
    )


def make_deployment(cast: Cast) -> Deployment:
    endpoint = world.endpoint(cast)
    release = releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=endpoint)
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    build = Build.objects.get(release=release)
    Build.objects.filter(pk=build.pk).update(state=Build.State.DONE)
    return Deployment.objects.create(
        project=cast.project, endpoint=endpoint, release=release, build=build, target=release.target
    )


def make_replica(
    deployment: Deployment, index: int, state: str = "running", address: str = "127.0.0.1:7000"
) -> Replica:
    name = f"slipway-{deployment.pk}-{index}"
    return Replica.objects.create(
        deployment=deployment,
        index=index,
        name=name,
        state=state,
        address=address,
        sealed=seal_secret(name, f"secret {index}"),
    )


def test_keys_that_may_invoke_are_in_and_all_others_out(cast: Cast) -> None:
    good = make_key(cast, "invoke:digits", "read", rate_per_minute=60, networks=["10.0.0.0/8"])
    make_key(cast, "read", "deploy")
    make_key(cast, "invoke:*", revoked_at=timezone.now())
    make_key(cast, "invoke:*", expires_at=timezone.now() - timedelta(seconds=1))
    make_key(cast, "invoke:*", disabled_at=timezone.now())
    left = cast.user("dana")
    left.is_active = False
    left.save()
    make_key(cast, "invoke:*", created_by=left)

    snapshot = load_snapshot()

    assert set(snapshot.keys) == {good.key_id}
    assert snapshot.keys[good.key_id] == tables.Key(
        good.key_id,
        bytes(good.digest),
        cast.project.slug,
        frozenset({"invoke:digits", "read"}),
        good.expires_at.timestamp(),
        60,
        ("10.0.0.0/8",),
    )


def test_an_endpoint_comes_with_its_routes_and_the_replicas_that_run(cast: Cast) -> None:
    stable, canary = make_deployment(cast), make_deployment(cast)
    Route.objects.create(endpoint=stable.endpoint, deployment=stable, weight=90)
    Route.objects.create(endpoint=stable.endpoint, deployment=canary, weight=10)
    first = make_replica(stable, 0)
    second = make_replica(stable, 1, address="[::1]:7001")
    make_replica(stable, 2, state="draining")
    make_replica(stable, 3, state="starting", address="")
    make_replica(stable, 4, address="")

    endpoint = load_snapshot().endpoints[cast.project.slug, "digits"]

    assert (endpoint.model, endpoint.max_body, endpoint.timeout_seconds, endpoint.idempotent) == (
        "digits",
        10 << 20,
        60.0,
        True,
    )
    assert [(route.deployment, route.release, route.weight, route.version) for route in endpoint.routes] == [
        (str(stable.pk), str(stable.release_id), 90, "1"),
        (str(canary.pk), str(canary.release_id), 10, "2"),
    ]
    assert endpoint.routes[0].replicas == (
        tables.Replica(first.name, "127.0.0.1", 7000, "secret 0"),
        tables.Replica(second.name, "::1", 7001, "secret 1"),
    )
    assert endpoint.routes[1].replicas == ()


def test_a_secret_that_was_moved_to_another_replica_gets_no_calls(cast: Cast) -> None:
    deployment = make_deployment(cast)
    Route.objects.create(endpoint=deployment.endpoint, deployment=deployment, weight=100)
    one, two = make_replica(deployment, 0), make_replica(deployment, 1)
    Replica.objects.filter(pk=two.pk).update(sealed=one.sealed)

    endpoint = load_snapshot().endpoints[cast.project.slug, "digits"]

    assert [replica.id for replica in endpoint.routes[0].replicas] == [one.name]


def test_an_endpoint_without_routes_is_known_but_empty(cast: Cast) -> None:
    world.endpoint(cast)

    endpoint = load_snapshot().endpoints[cast.project.slug, "digits"]

    assert (endpoint.model, endpoint.routes) == ("", ())


def test_the_version_changes_exactly_with_the_contents(cast: Cast) -> None:
    key = make_key(cast, "invoke:*")
    first = load_snapshot().version
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    assert load_snapshot().version == first

    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert load_snapshot().version != first


@pytest.mark.parametrize("count", [1, 5])
def test_it_takes_the_same_few_queries_however_much_there_is(
    cast: Cast, count: int, django_assert_num_queries: object
) -> None:
    for _ in range(count):
        deployment = make_deployment(cast)
        Route.objects.create(endpoint=deployment.endpoint, deployment=deployment, weight=100 // count)
        make_replica(deployment, 0)
        make_key(cast, "invoke:*")

    with django_assert_num_queries(QUERIES):  # type: ignore[operator]
        snapshot = load_snapshot()
    assert len(snapshot.keys) == count
