"""How much one key may ask for, and that it is told when to come back."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.core import keys
from apps.gateway.admission import Admission, FailureLimit, TokenBucket
from apps.gateway.tables import Key
from tests.gateway.conftest import Gateway, free_port, wait_until
from tests.gateway.replicas import Stage, answer_after
from tests.gateway.serve import PEPPER

Launch = Callable[..., Gateway]


def test_a_bucket_lets_its_rate_through_within_one_percent_over_a_minute() -> None:
    bucket = TokenBucket(rate=6000, burst=60, now=0.0)

    accepted = sum(bucket.take(step / 5000) == 0.0 for step in range(60 * 5000))  # fifty times the limit

    assert abs(accepted - 6000) <= 60


def test_a_bucket_says_when_the_next_token_comes() -> None:
    bucket = TokenBucket(rate=60, burst=1, now=0.0)

    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.25) == 0.75
    assert bucket.take(1.0) == 0.0


def test_an_idle_bucket_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=600, burst=5, now=0.0)

    assert [bucket.take(3600.0) for _ in range(6)].count(0.0) == 5


def test_a_bucket_lives_on_through_snapshots_and_starts_anew_with_a_new_rate() -> None:
    minted = keys.mint()
    admission = Admission([PEPPER], 20, 10)
    header = f"Bearer {minted.text}".encode()

    def use(scopes: set[str], rate: int) -> None:
        digest = keys.digest(PEPPER, minted.secret)
        key = Key(minted.key_id, digest, "demo", frozenset(scopes), None, rate)
        admission.replace_keys({minted.key_id: key})

    use({"invoke:a"}, 60)
    caller = admission.identify(header, "client", 0.0)
    bucket = caller.bucket
    use({"invoke:b"}, 60)
    assert admission.identify(header, "client", 0.0) is caller
    assert (caller.bucket, caller.may_invoke("b"), caller.may_invoke("a")) == (bucket, True, False)
    use({"invoke:b"}, 120)
    assert caller.bucket is not bucket


def test_failures_are_counted_by_network_in_ipv6() -> None:
    limit = FailureLimit(per_minute=2)

    statuses = [limit.refusal(f"2001:db8::{place}", b"key %d" % place, now=0.0).status for place in range(3)]

    assert statuses == [401, 401, 429]
    assert limit.refusal("2001:db8:0:1::1", b"key", now=0.0).status == 401
    assert limit.refusal("not an address", b"key", now=0.0).status == 401


def test_one_wrong_key_is_one_guess_however_often_it_is_shown() -> None:
    limit = FailureLimit(per_minute=2)

    assert {limit.refusal("192.0.2.1", b"kept too long", now=0.0).status for _ in range(50)} == {401}
    assert [limit.refusal("192.0.2.1", b"guess %d" % turn, now=0.0).status for turn in range(3)] == [401, 429, 429]


def test_many_failing_addresses_are_not_all_remembered() -> None:
    limit = FailureLimit(per_minute=1)

    for number in range(10_001):
        limit.refusal(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", b"first", now=0.0)

    assert limit.refusal("10.0.0.0", b"second", now=0.0).status == 401  # the oldest was forgotten
    assert limit.refusal("10.0.39.16", b"second", now=0.0).status == 429


def test_a_key_gets_its_rate_and_is_told_when_to_come_back(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(rate_per_minute=600), gateway.make_endpoint(stage.add().as_replica())
    other = gateway.make_key()
    gateway.publish()

    began, answers = time.monotonic(), []
    while time.monotonic() - began < 2:
        answers.append(gateway.infer(endpoint, key))
    expected = 6 + 10 * (time.monotonic() - began)

    accepted = sum(answer.status == 200 for answer in answers)
    refused = [answer for answer in answers if answer.status != 200]
    assert abs(accepted - expected) <= 2
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {(429, "1")}
    assert refused[0].error == "this key calls more often than its limit allows"
    assert gateway.infer(endpoint, other).status == 200


def test_a_key_has_a_bounded_number_of_calls_in_flight(launch: Launch, stage: Stage) -> None:
    gateway = launch(in_flight_per_key=4)
    released = threading.Event()
    slow = stage.add(answer_after(released))
    key, other = gateway.make_key(), gateway.make_key()
    endpoint = gateway.make_endpoint(slow.as_replica())
    gateway.publish()

    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(gateway.infer, endpoint, key) for _ in range(4)]
        wait_until(lambda: len(slow.asked) == 4)
        refused = gateway.infer(endpoint, key)
        calls.append(pool.submit(gateway.infer, endpoint, other))
        wait_until(lambda: len(slow.asked) == 5)
        released.set()
        statuses = Counter(call.result().status for call in calls)

    assert (refused.status, refused.error) == (429, "this key has too many calls in flight")
    assert statuses == {200: 5}
    assert gateway.infer(endpoint, key).status == 200


def test_the_gateway_has_a_bounded_number_of_calls_in_flight(launch: Launch, stage: Stage) -> None:
    gateway = launch(in_flight=2)
    released = threading.Event()
    slow = stage.add(answer_after(released))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(slow.as_replica())
    gateway.publish()

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(gateway.infer, endpoint, key) for _ in range(2)]
        wait_until(lambda: len(slow.asked) == 2)
        refused = gateway.infer(endpoint, key)
        assert gateway.get("/healthz").status == 200
        released.set()
        assert [call.result().status for call in calls] == [200, 200]

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")


def test_a_redis_that_is_not_there_costs_a_call_nothing(
    launch: Launch, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    gateway = launch()
    key, endpoint = gateway.make_key(rate_per_minute=60), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    statuses = [gateway.infer(endpoint, key).status for _ in range(7)]

    assert statuses[:5] + statuses[-1:] == [200] * 5 + [429]  # by the bucket of its own
    assert gateway.event("redis_away") == 1
