"""Who may call what, and how little the others learn."""

import contextlib
import re
import statistics
import time
from collections.abc import Callable

import pytest

from apps.core import keys
from apps.gateway.admission import Admission
from apps.gateway.refusals import Refusal
from apps.gateway.requests import read_client, read_head
from apps.gateway.tables import Key
from tests.gateway.conftest import INFER, Gateway, wait_until
from tests.gateway.replicas import Stage
from tests.gateway.serve import PEPPER

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def test_a_right_key_is_served_with_the_two_headers_of_every_answer(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    answer = gateway.infer(endpoint, key)

    assert (answer.status, answer.body) == (200, b'{"outputs": []}')
    assert answer.headers["x-slipway-release"] == "release-1"
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


def test_every_wrong_key_gets_the_same_answer_at_every_address(gateway: Gateway, stage: Stage) -> None:
    right, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    expired = gateway.make_key(expires_at=time.time() - 1)
    gateway.publish()
    parsed = keys.parse(right)
    assert parsed is not None
    offers = ["", "Bearer", "Bearer x", f"Basic {right}", f"Bearer {keys.mint().text}", f"Bearer {expired}"]
    offers += [f"Bearer {with_wrong_secret(parsed.key_id)}", f"Bearer {right}x", right, f"Bearer {right} {right}"]

    answers = [
        gateway.get(f"/demo/{name}/v2", **({"Authorization": offer} if offer else {}))
        for offer in offers
        for name in (endpoint, "nothing-here")
    ]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)
    assert all(REQUEST_ID.fullmatch(answer.headers["x-request-id"]) for answer in answers)


def test_key_with_ranges_is_a_wrong_one_from_anywhere_else(gateway: Gateway, stage: Stage) -> None:
    endpoint = gateway.make_endpoint(stage.add().as_replica())
    here = gateway.make_key(networks=("10.0.0.0/8", "127.0.0.0/8"))
    elsewhere = gateway.make_key(networks=("10.0.0.0/8",))
    gateway.publish()

    assert gateway.infer(endpoint, here).status == 200
    refused = gateway.infer(endpoint, elsewhere, X_Forwarded_For="10.1.2.3")
    assert refused.body == gateway.infer(endpoint, keys.mint().text).body
    assert refused.status == 401


@pytest.mark.parametrize(("proxies", "client"), [(0, "peer"), (1, "3.3.3.3"), (3, "1.1.1.1"), (4, "peer")])
def test_client_is_named_by_as_many_proxies_as_are_trusted(proxies: int, client: str) -> None:
    headers = [(b"host", b"x"), (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2,3.3.3.3")]
    assert read_client(read_head(headers, "1.1"), "peer", proxies) == client


def test_another_projects_endpoint_is_as_unknown_as_none_at_all(gateway: Gateway, stage: Stage) -> None:
    stranger, endpoint = gateway.make_key("elsewhere"), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    theirs = gateway.infer(endpoint, stranger)
    nothing = gateway.get("/elsewhere/nothing-here/v2", stranger)

    assert (theirs.status, nothing.status) == (404, 404)
    assert theirs.body == nothing.body


def test_a_scope_opens_its_endpoint_only(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add().as_replica()
    mine, other = gateway.make_endpoint(replica), gateway.make_endpoint(replica)
    key, reader = gateway.make_key("demo", f"invoke:{mine}"), gateway.make_key("demo", "read")
    gateway.publish()

    assert gateway.infer(mine, key).status == 200
    assert gateway.infer(other, key).status == 403
    assert gateway.infer(mine, reader).status == 403


def test_a_revoked_key_is_refused_within_five_seconds(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    assert gateway.infer(endpoint, key).status == 200

    gateway.revoke(key)
    began = time.monotonic()
    gateway.publish()

    wait_until(lambda: gateway.infer(endpoint, key).status == 401)
    assert time.monotonic() - began < 5


def test_a_key_expires_without_a_new_snapshot(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(expires_at=time.time() + 1.5), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    assert gateway.infer(endpoint, key).status == 200

    wait_until(lambda: gateway.infer(endpoint, key).status == 401)


def test_twenty_wrong_keys_a_minute_are_enough_and_a_right_one_still_passes(
    launch: Callable[..., Gateway], stage: Stage
) -> None:
    gateway = launch(failures_per_minute=20)
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    statuses = [gateway.get(f"/demo/{endpoint}/v2", keys.mint().text).status for _ in range(40)]

    assert statuses.count(401) in (20, 21)
    assert statuses[-1] == 429
    assert gateway.infer(endpoint, key).status == 200


def test_behind_a_proxy_one_address_does_not_use_up_the_patience_with_others(
    launch: Callable[..., Gateway],
) -> None:
    gateway = launch(failures_per_minute=3, proxies=1)

    def try_wrongly(client: str) -> int:
        return gateway.get("/demo/digits/v2", keys.mint().text, X_Forwarded_For=f"6.6.6.6, {client}").status

    assert [try_wrongly("198.51.100.7") for _ in range(4)][-1] == 429
    assert try_wrongly("203.0.113.9") == 401


def test_the_clock_does_not_tell_unknown_ids_from_wrong_secrets() -> None:
    known = keys.mint()
    admission = Admission([PEPPER], failures_per_minute=10**9, in_flight_per_key=1)
    key = Key(known.key_id, keys.digest(PEPPER, known.secret), "demo", frozenset(), None, 0)
    admission.replace_keys({known.key_id: key})

    def nanoseconds(text: str) -> int:
        header = f"Bearer {text}".encode()
        began = time.perf_counter_ns()
        with contextlib.suppress(Refusal):
            admission.identify(header, "client", 0.0)
        return time.perf_counter_ns() - began

    pairs = [(nanoseconds(with_wrong_secret(known.key_id)), nanoseconds(keys.mint().text)) for _ in range(4_000)]

    ratio = statistics.median(first for first, _ in pairs) / statistics.median(second for _, second in pairs)
    assert 0.85 < ratio < 1.15


def with_wrong_secret(key_id: str) -> str:
    """A key that is well formed, of a known id."""
    body = f"{keys.LIVE}_{key_id}_{keys.mint().secret}"
    return body + keys.checksum(body)


@pytest.mark.parametrize("offered", ["order-66_a.B", "x" * 64])
def test_a_sane_request_id_is_kept_and_passed_on(gateway: Gateway, stage: Stage, offered: str) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    answer = gateway.infer(endpoint, key, X_Request_Id=offered)

    assert answer.headers["x-request-id"] == replica.asked[0].headers["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["x" * 65, "a b", "a\x1b[31m", "é", "../x"])
def test_a_strange_request_id_is_replaced(gateway: Gateway, offered: str) -> None:
    answer = gateway.get("/healthz", X_Request_Id=offered)

    assert answer.headers["x-request-id"] != offered
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


def test_methods_outside_the_protocol_are_refused(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    for method, path in [("GET", INFER), ("POST", "/v2"), ("DELETE", "/v2"), ("HEAD", INFER), ("PUT", INFER)]:
        assert gateway.call(method, f"/demo/{endpoint}{path}", key).status == 405
    assert replica.asked == []


@pytest.mark.parametrize(
    "path", ["/", "/favicon.ico", "/demo", "/demo/digits", "/demo/digits/v1/models", "/-/windows", "/-/", "/metrics/x"]
)
def test_other_addresses_are_nowhere(gateway: Gateway, path: str) -> None:
    answer = gateway.get(path, gateway.make_key())

    assert (answer.status, answer.error) == (404, "there is nothing at this address")


def test_metrics_are_for_this_machine_unless_it_speaks_for_another(gateway: Gateway) -> None:
    assert gateway.get("/metrics").status == 200
    assert gateway.get("/metrics", X_Forwarded_For="198.51.100.7").status == 404
