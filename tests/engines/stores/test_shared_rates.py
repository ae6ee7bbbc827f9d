"""Rates that gateways count together in Redis, and what each does when that is gone, hangs or refuses the password."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.gateway.tables import make_snapshot
from tests.engines import brokers
from tests.engines.brokers import PASSWORD, Broker, Redis
from tests.gateway.conftest import Gateway, start_gateway, wait_until, write_snapshot
from tests.gateway.replicas import Stage, open_stage

PER_MINUTE, BURST = 6000, 60
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
def launch_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Pair]]:
    """Two gateways that know the same keys and endpoints, once they have tried to reach this Redis."""
    started: list[Gateway] = []

    def launch(url: str) -> Pair:
        monkeypatch.setenv("SLIPWAY_REDIS_URL", url)
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir()
            write_snapshot(home, make_snapshot("0", [], []))
            started.append(start_gateway(home))
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


def is_said(gateway: Gateway, words: str) -> bool:
    return words in (gateway.home / "log").read_text()


def call_for(gateway: Gateway, endpoint: str, key: str, seconds: float) -> list[int]:
    until, statuses = time.monotonic() + seconds, []
    while time.monotonic() < until:
        statuses.append(gateway.infer(endpoint, key).status)
    return statuses


def test_two_gateways_let_one_rate_through(redis: Broker, launch_two: Callable[[str], Pair], stage: Stage) -> None:
    pair = launch_two(redis.url)
    key, endpoint = prepare(pair, stage, PER_MINUTE)
    wait_until(lambda: all(is_said(gateway, "counted together") for gateway in pair))

    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda gateway: call_for(gateway, endpoint, key, SECONDS), pair * 2))
    expected = BURST + PER_MINUTE / 60 * (time.monotonic() - begun)

    accepted = [statuses.count(200) for statuses in answers]
    assert abs(sum(accepted) - expected) <= max(2, expected * 0.02)
    assert min(accepted) > 0
    assert sum(len(statuses) for statuses in answers) > sum(accepted)


def test_a_gateway_goes_on_alone_while_redis_is_gone(
    redis: Broker, launch_two: Callable[[str], Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url)
    key, endpoint = prepare(pair, stage, 1_000_000)
    wait_until(lambda: is_said(pair[0], "counted together"))
    statuses: list[int] = []
    caller = threading.Thread(target=lambda: statuses.extend(call_for(pair[0], endpoint, key, 4.0)))
    caller.start()
    redis.stop()
    wait_until(lambda: pair[0].event("redis_away") == 1)
    redis.start()
    wait_until(lambda: (pair[0].home / "log").read_text().count("counted together") == 2)
    caller.join()
    assert set(statuses) == {200}


def test_a_redis_that_hangs_delays_no_call_for_long(
    redis: Broker, launch_two: Callable[[str], Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url)
    key, endpoint = prepare(pair, stage, 1_000_000)
    wait_until(lambda: is_said(pair[0], "counted together"))
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
    wait_until(lambda: (pair[0].home / "log").read_text().count("counted together") == 2)


def test_a_wrong_password_is_told_and_the_gateway_counts_alone(
    redis: Broker, launch_two: Callable[[str], Pair], stage: Stage
) -> None:
    pair = launch_two(redis.url.replace(PASSWORD, "guessed"))
    key, endpoint = prepare(pair, stage, 60)
    wait_until(lambda: is_said(pair[0], "WRONGPASS"))
    assert [pair[0].infer(endpoint, key).status for _call in range(6)][:5] == [200] * 5
    assert "guessed" not in (pair[0].home / "log").read_text()
