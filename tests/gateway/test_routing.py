"""Choosing: routes by weight, replicas by how busy and how reliable they are, second attempts within an allowance."""

from collections import Counter

import pytest

from apps.gateway.config import Limits
from apps.gateway.metering import Books
from apps.gateway.replicas import Backend
from apps.gateway.requests import read_address
from apps.gateway.routing import RETRIES_AT_ONCE, Choices, Directory, LiveEndpoint, LiveRoute
from apps.gateway.tables import EMPTY, Endpoint, Key, Replica, Route, from_json, make_snapshot, to_json

REPLICAS = tuple(Replica(f"r{number}", "127.0.0.1", 9000 + number, "s") for number in range(6))


def backends(count: int) -> list[Backend]:
    return [Backend(replica, Limits()) for replica in REPLICAS[:count]]


def route_of(chosen: list[Backend]) -> LiveRoute:
    meter = Books("g", 10, 900).meter("p", "e", "1")
    return LiveRoute(Route("1", "release-1", 100, ()), chosen, meter)


def fail(backend: Backend, peers: list[Backend], now: float, times: int = 3) -> bool:
    return [backend.note_failure(peers, now) for _ in range(times)][-1]


def make_directory() -> tuple[Directory, Books]:
    books = Books("g", 10, 900)
    return Directory(books, Limits(), b"salt"), books


def make_endpoint(*routes: Route, name: str = "e") -> Endpoint:
    return Endpoint("p", name, "m", 1000, 10.0, True, routes)


def live(*routes: Route) -> LiveEndpoint:
    directory, _ = make_directory()
    directory.replace(make_snapshot("1", [], [make_endpoint(*routes)]))
    found = directory.find("p", "e")
    assert found is not None
    return found


def chosen(endpoint: LiveEndpoint, request_id: bytes) -> str:
    route = endpoint.choose(endpoint.everything, request_id)
    assert route is not None
    return route.deployment


def test_the_least_busy_replica_is_chosen() -> None:
    chosen = backends(3)
    for backend, in_flight in zip(chosen, (5, 1, 3), strict=True):
        backend.in_flight = in_flight

    assert {route_of(chosen).choose(0.0) for _ in range(5)} == {chosen[1]}


def test_equally_busy_replicas_take_turns() -> None:
    chosen = backends(3)
    route = route_of(chosen)

    assert Counter(route.choose(0.0) for _ in range(30)) == dict.fromkeys(chosen, 10)


def test_three_failures_in_a_row_put_a_replica_out_and_a_success_between_does_not() -> None:
    first, second = peers = backends(2)

    assert not fail(first, peers, 0.0, times=2)
    first.note_success()
    assert not fail(first, peers, 0.0, times=2)
    assert first.note_failure(peers, 0.0)
    assert {route_of(peers).choose(4.9) for _ in range(4)} == {second}
    assert {route_of(peers).choose(5.1) for _ in range(4)} <= {first, second}


def test_each_further_time_lasts_longer_up_to_a_minute_and_is_forgiven_after_a_while() -> None:
    first, _ = peers = backends(2)
    now, lengths = 0.0, []
    for _ in range(14):
        assert fail(first, peers, now)
        lengths.append(first.ejected_until - now)
        now = first.ejected_until + 1

    assert lengths == [5.0 * n for n in range(1, 13)] + [60.0, 60.0]
    assert fail(first, peers, now + 1000)
    assert first.ejected_until - (now + 1000) == 5.0


@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (6, 3)])
def test_at_most_half_are_out_and_never_the_last(count: int, most: int) -> None:
    peers = backends(count)

    for backend in peers:
        fail(backend, peers, 0.0, times=9)

    assert sum(backend.ejected_until > 0.0 for backend in peers) == most


def test_an_ejected_replica_is_better_than_none() -> None:
    first, second = peers = backends(2)
    fail(first, peers, 0.0)

    assert route_of(peers).choose(1.0, tried=[second]) is first
    assert route_of(peers).choose(1.0, tried=peers) is None


def test_routes_share_by_weight_and_a_request_keeps_its_route() -> None:
    endpoint = live(Route("1", "a", 90, REPLICAS[:1]), Route("2", "b", 10, REPLICAS[1:2]))

    seen = Counter(chosen(endpoint, b"request-%d" % number) for number in range(20_000))

    assert abs(seen["2"] - 2000) < 250  # standard deviation 42
    assert len({chosen(endpoint, b"the same") for _ in range(10)}) == 1


def test_routes_without_weight_or_replicas_get_nothing() -> None:
    endpoint = live(Route("1", "a", 0, REPLICAS[:1]), Route("2", "b", 50, ()), Route("3", "c", 1, REPLICAS[1:2]))

    assert {chosen(endpoint, b"%d" % number) for number in range(100)} == {"3"}
    for empty in (live(Route("1", "a", 100, ())), live()):
        assert empty.choose(empty.everything, b"x") is None


def test_a_call_that_names_a_version_goes_to_the_deployments_of_that_version() -> None:
    endpoint = live(
        Route("1", "a", 90, REPLICAS[:1], "m", "1"),
        Route("2", "b", 5, REPLICAS[1:2], "m", "2"),
        Route("3", "c", 5, REPLICAS[2:3], "m", "2"),
        Route("4", "d", 0, REPLICAS[3:4], "m", "3"),
    )

    def routes_of(found: Choices | None) -> set[str] | None:
        return None if found is None else {route.deployment for route in found.routes}

    assert routes_of(endpoint.everything) == {"1", "2", "3"}
    assert routes_of(endpoint.of_version("m", "1")) == {"1"}
    assert routes_of(endpoint.of_version("m", "2")) == {"2", "3"}
    assert endpoint.of_version("m", "3") is endpoint.of_version("n", "1") is None


def test_a_second_attempt_stays_with_the_version() -> None:
    endpoint = live(Route("1", "a", 50, REPLICAS[:1], "m", "1"), Route("2", "b", 50, REPLICAS[1:2], "m", "2"))
    of_first = endpoint.of_version("m", "1")
    assert of_first is not None

    route = of_first.routes[0]

    assert endpoint.second_choice(of_first, route, 0.0, route.backends) is None
    assert endpoint.second_choice(endpoint.everything, route, 0.0, route.backends) is not None


def test_the_second_choice_stays_with_the_deployment_while_it_can() -> None:
    endpoint = live(Route("1", "a", 50, REPLICAS[:2]), Route("2", "b", 50, REPLICAS[2:3]))
    everything = endpoint.everything
    first, other = everything.routes
    one, two = first.backends

    assert endpoint.second_choice(everything, first, 0.0, [one]) == (first, two)
    assert endpoint.second_choice(everything, first, 0.0, [one, two]) == (other, other.backends[0])
    assert endpoint.second_choice(everything, first, 0.0, [one, two, other.backends[0]]) is None


def test_second_attempts_run_out_and_come_back_with_a_fifth_of_the_calls() -> None:
    endpoint = live(Route("1", "a", 100, REPLICAS[:2]))

    assert all(endpoint.take_retry() for _ in range(int(RETRIES_AT_ONCE)))
    assert not endpoint.take_retry()
    for number in range(1000):
        chosen(endpoint, b"%d" % number)
    assert sum(endpoint.take_retry() for _ in range(1000)) in (199, 200)


def test_replicas_and_meters_live_on_from_one_snapshot_to_the_next() -> None:
    directory, books = make_directory()
    directory.replace(make_snapshot("1", [], [make_endpoint(Route("1", "a", 100, REPLICAS[:2]))]))
    before = directory.endpoints[0].everything.routes[0]

    directory.replace(make_snapshot("2", [], [make_endpoint(Route("1", "a", 50, REPLICAS[1:3]))]))
    after = directory.endpoints[0].everything.routes[0]

    assert after.meter is before.meter
    assert after.backends[0] is before.backends[1]
    assert [backend.is_gone for backend in before.backends] == [True, False]
    assert len(directory.backends) == 2
    directory.replace(EMPTY)
    assert (directory.find("p", "e"), list(books.meters)) == (None, [])


def test_a_replica_with_a_new_secret_is_another_one() -> None:
    directory, _ = make_directory()
    directory.replace(make_snapshot("1", [], [make_endpoint(Route("1", "a", 100, (Replica("r", "h", 1, "old"),)))]))
    before = directory.backends[0]

    directory.replace(make_snapshot("2", [], [make_endpoint(Route("1", "a", 100, (Replica("r", "h", 1, "new"),)))]))

    assert directory.backends[0] is not before
    assert before.is_gone


def test_a_snapshot_survives_its_way_over_the_disk() -> None:
    keys = [
        Key("abcdefgh", b"d" * 32, "p", frozenset({"invoke:*", "read"}), 12.5, 60, ("10.0.0.0/8",)),
        Key("b", b"", "p", frozenset(), None, 0),
    ]
    snapshot = make_snapshot("1", keys, [make_endpoint(Route("1", "a", 100, REPLICAS[:2])), make_endpoint(name="f")])

    assert from_json(to_json(snapshot)) == snapshot
    assert "secret" not in repr(snapshot)
    assert "digest" not in repr(snapshot)


@pytest.mark.parametrize(
    ("path", "inner", "method"),
    [
        ("/v2", "/v2", "GET"),
        ("/v2/", "/v2", "GET"),
        ("/v2/health/live", "/v2/health/live", "GET"),
        ("/v2/health/ready", "/v2/health/ready", "GET"),
        ("/v2/models/stats", "/v2/models/stats", "GET"),
        ("/v2/models/digits", "/v2/models/digits", "GET"),
        ("/v2/models/digits/ready", "/v2/models/digits/ready", "GET"),
        ("/v2/models/digits/infer", "/v2/models/digits/infer", "POST"),
        ("/v2/models/Mo-d.el_1/versions/12/infer", "/v2/models/Mo-d.el_1/versions/12/infer", "POST"),
        ("/v2/models/digits/versions/3/stats", "/v2/models/digits/versions/3/stats", "GET"),
        ("/v2/repository/index", "/v2/repository/index", "POST"),
        ("/v2/repository/models/digits/load", "/v2/repository/models/digits/load", "POST"),
        ("/v2/repository/models/digits/unload", "/v2/repository/models/digits/unload", "POST"),
    ],
)
def test_the_protocols_addresses_are_known(path: str, inner: str, method: str) -> None:
    address = read_address(f"/pro-ject/end_point{path}".encode())

    assert address is not None
    assert (address.project, address.endpoint) == ("pro-ject", "end_point")
    assert (address.path.decode(), address.method) == (inner, method)
