"""Rates that gateways count together in Redis, and what each does when that is gone, hangs or refuses the password."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.tables import make_snapshot
from tests.engines import brokers
from tests.engines.brokers import PASSWORD, Broker, Redis
from tests.gateway.conftest import Gateway, start_gateway, wait_until, write_snapshot
from tests.gateway.replicas import Stage, open_stage

PER_MINUTE, BURST = 2400, 24  # few enough that a busy machine asks for more
SECONDS = 3.0

Pair = tuple[Gateway, Gateway]


@pytest.fixture(scope="module")
def redis() -> Iterator[Broker]:
    with brokers.serve(Redis) as server:
        yield server


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


@pytest.fixture
def launch_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pair]]:
    """Two gateways that know the same keys and endpoints, once they have tried to reach this Redis."""
    started: list[Gateway] = []

    def launch(url: str, **limits: Any) -> Pair:
        monkeypatch.setenv("SLIPWAY_REDIS_URL", url)
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir()
            write_snapshot(home, make_snapshot("0", [], []))
            started.append(start_gateway(home, **limits))
        one, two = started
        two.keys, two.endpoints = one.keys, one.endpoints
        return one, two

    yield launch
    for gateway in started:
        gateway.stop(signal.SIGKILL)


def prepare(pair: Pair, stage: Stage, per_minute: int) -> tuple[str, str]:
    key = pair[0].make_key(rate_per_minute=per_minute)
    endpoint = pair[0].make_endpoint(stage.add().as_replica())
    for gateway in pair:
        gateway.publish()
    return key, endpoint


def times_said(gateway: Gateway, words: str) -> int:
    return (gateway.home / "log").read_text().count(words)


def call_for(gateway: Gateway, endpoint: str, key: str, seconds: float) -> list[int]:
    return [status for status, _at in call_and_time(gateway, endpoint, key, seconds)]


def call_and_time(gateway: Gateway, endpoint: str, key: str, seconds: float) -> list[tuple[int, float]]:
    """The status of each call, and when it came."""
    until, answers = time.monotonic() + seconds, []
    while time.monotonic() < until:
        status = gateway.infer(endpoint, key).status
        answers.append((status, time.monotonic()))
    return answers


def test_two_gateways_let_one_rate_through(redis: Broker, launch_two: Callable[..., Pair], stage: Stage) -> None:
    pair = launch_two(redis.url, redis_seconds=10.0)  # a busy machine is no reason to count alone
    key, endpoint = prepare(pair, stage, PER_MINUTE)
    wait_until(lambda: all(times_said(gateway, "counted together") for gateway in pair))

    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda gateway: call_and_time(gateway, endpoint, key, SECONDS), pair * 2))
    ended = time.monotonic()

    accepted = [sum(status == 200 for status, _at in each) for each in answers]
    times = sorted(at for each in answers for _status, at in each)
    at_most = BURST + PER_MINUTE / 60 * (ended - begun)
    at_least = BURST + PER_MINUTE / 60 * (times[-1] - times[0])
    print(f"\n{sum(accepted)} of {len(times)} calls at two gateways, between {at_least:.0f} and {at_most:.0f} expected")
    assert at_least - 5 <= sum(accepted) <= at_most + 1  # each of the four callers may have one on its way
    assert min(accepted) > 0
    assert len(times) > sum(accepted)


def test_a_gateway_goes_on_alone_while_redis_is_gone(
    redis: Broker, launch_two: Callable[..., Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url, redis_seconds=10.0)  # so that it is away once, and not whenever the machine is busy
    key, endpoint = prepare(pair, stage, 1_000_000)
    wait_until(lambda: times_said(pair[0], "counted together"))
    statuses: list[int] = []
    caller = threading.Thread(target=lambda: statuses.extend(call_for(pair[0], endpoint, key, 4.0)))
    caller.start()
    redis.stop()
    wait_until(lambda: pair[0].event("redis_away") == 1)
    redis.start()
    wait_until(lambda: times_said(pair[0], "counted together") == 2)
    caller.join()
    assert set(statuses) == {200}


def test_a_redis_that_hangs_delays_no_call_for_long(
    redis: Broker, launch_two: Callable[..., Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url)
    key, endpoint = prepare(pair, stage, 1_000_000)
    before = wait_until(lambda: times_said(pair[0], "counted together"))
    redis.pause()
    try:
        seconds = []
        for _call in range(30):
            begun = time.monotonic()
            assert pair[0].infer(endpoint, key).status == 200
            seconds.append(time.monotonic() - begun)
    finally:
        redis.resume()
    assert max(seconds) < 0.5
    assert sorted(seconds)[15] < 0.05
    wait_until(lambda: times_said(pair[0], "counted together") > before)


def test_a_wrong_password_is_told_and_the_gateway_counts_alone(
    redis: Broker, launch_two: Callable[..., Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url.replace(PASSWORD, "guessed"))
    key, endpoint = prepare(pair, stage, 60)
    wait_until(lambda: times_said(pair[0], "WRONGPASS"))
    assert [pair[0].infer(endpoint, key).status for _call in range(6)][:5] == [200] * 5
    assert "guessed" not in (pair[0].home / "log").read_text()
