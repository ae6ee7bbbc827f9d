"""The cache and the sessions in Redis, and that pages are served while it is gone or hangs."""

import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from apps.core import shared_cache
from tests.cast import Cast
from tests.engines import brokers
from tests.engines.brokers import Broker, Redis


class Trap:
    """Writes a file wherever it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def server() -> Iterator[Broker]:
    with brokers.serve(Redis) as server:
        yield server


@pytest.fixture
def shared(server: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """This process with the cache and the sessions that ``SLIPWAY_REDIS_URL`` brings; Redis is soon asked again."""
    monkeypatch.setattr(shared_cache, "AWAY_SECONDS", 0.5)
    monkeypatch.setattr(shared_cache, "SESSION_SECONDS", 1)
    there = {"LOCATION": server.url, "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}}
    settings.CACHES = {
        "default": {"BACKEND": "apps.core.shared_cache.SharedCache", **there},
        "sessions": {"BACKEND": "apps.core.shared_cache.SharedSessions", **there},
    }
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    settings.SESSION_CACHE_ALIAS = "sessions"
    cache.clear()
    return server


@pytest.fixture
def dana(shared: Broker, cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.user("dana"), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def seconds_for(client: Client) -> float:
    begun = time.monotonic()
    assert client.get("/p/digits-team/models/").status_code == 200
    return time.monotonic() - begun


def test_what_one_process_keeps_the_next_one_finds(shared: Broker) -> None:
    assert cache.add("one", {"n": 1}, 60)
    assert not cache.add("one", {"n": 2}, 60)
    assert (cache.get("one"), cache.get("two", "none"), "one" in cache) == ({"n": 1}, "none", True)
    assert cache.delete("one")
    cache.set_many({"a": 1, "b": 2}, 60)
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    assert cache.touch("a", 60)
    assert cache.incr("a") == 2


def test_what_lies_in_redis_runs_no_code_when_it_is_read(shared: Broker, dana: Client, tmp_path: Path) -> None:
    cache.set("one", [1.5, {"n": None}], 60)
    seconds_for(dana)
    store, trap = redis.Redis.from_url(shared.url), pickle.dumps(Trap(tmp_path / "marker"))
    keys = store.keys()
    assert len(keys) >= 2
    for key in keys:
        store.set(key, trap)
    seconds_for(dana)  # by the session in the database
    assert cache.get("one", "none") == "none"
    assert not (tmp_path / "marker").exists()
    pickle.loads(trap)
    assert (tmp_path / "marker").exists(), "it is a trap"


def test_pages_are_served_while_redis_is_gone(shared: Broker, dana: Client) -> None:
    seconds_for(dana)
    shared.stop()
    try:
        assert seconds_for(dana) < 3  # by the session in the database
        assert (cache.get("one", "none"), cache.add("one", 1), cache.get_many(["one"])) == ("none", True, {})
        assert cache.set_many({"one": 1}) == ["one"]
    finally:
        shared.start()
    deadline = time.monotonic() + 10
    while not (cache.set("one", 1, 60) or cache.get("one")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    seconds_for(dana)


def test_pages_wait_for_a_hung_redis_once_and_shortly(
    shared: Broker, dana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "AWAY_SECONDS", 60.0)
    seconds_for(dana)
    shared.pause()
    try:
        assert seconds_for(dana) < 3
        assert seconds_for(dana) < 1
    finally:
        shared.resume()


def test_a_session_that_was_ended_is_gone_from_both_places(dana: Client) -> None:
    assert dana.get("/p/digits-team/models/").status_code == 200
    dana.session.delete()
    assert dana.get("/p/digits-team/models/").status_code == 302


def test_a_session_that_was_ended_while_redis_hung_does_not_live_on_in_it(
    shared: Broker, dana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "AWAY_SECONDS", 2.0)
    session = dana.session
    shared.pause()
    try:
        seconds_for(dana)
        session.delete()
    finally:
        shared.resume()
    time.sleep(2.0)
    assert dana.get("/p/digits-team/models/").status_code == 302
