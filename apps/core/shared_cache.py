"""The cache in Redis, which everything goes on without: while Redis is away nothing is found, and nothing is kept.

Sessions are in the database as well, gateways are collected anew, limits on sign-in and keys start anew.
"""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

AWAY_SECONDS = 5.0  # for so long it is not asked again: a page must not wait for each of its questions
SESSION_SECONDS = 10  # before the database is asked again whether it still stands


class PlainData:
    """How values lie in Redis: as JSON. Django's own choice runs the code that it reads, whoever has written it there.

    What is no JSON is nothing (None).
    """

    def dumps(self, value: Any) -> str:
        return json.dumps(value)

    def loads(self, data: bytes) -> Any:
        with contextlib.suppress(ValueError):
            return json.loads(data)


class SharedCache(RedisCache):
    """Django's Redis cache, of plain data, which answers as an empty one while the server is away."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {"serializer": PlainData, **params.get("OPTIONS", {})}})
        self._away_until = 0.0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        found = self._ask(lambda: super(SharedCache, self).get(key, None, version), None)
        return default if found is None else found

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask(lambda: super(SharedCache, self).add(*args, **kwargs), True))

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._ask(lambda: super(SharedCache, self).set(*args, **kwargs), None)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        return int(self._ask(lambda: super(SharedCache, self).incr(*args, **kwargs), 0))

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask(lambda: super(SharedCache, self).touch(*args, **kwargs), False))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask(lambda: super(SharedCache, self).delete(*args, **kwargs), False))

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = self._ask(lambda: super(SharedCache, self).get_many(*args, **kwargs), {})
        return found

    def set_many(self, data: dict[Any, Any], *args: Any, **kwargs: Any) -> list[Any]:
        failed: list[Any] = self._ask(lambda: super(SharedCache, self).set_many(data, *args, **kwargs), list(data))
        return failed

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask(lambda: super(SharedCache, self).has_key(*args, **kwargs), False))

    def _ask(self, question: Callable[[], Any], otherwise: Any) -> Any:
        if time.monotonic() < self._away_until:
            return otherwise
        try:
            return question()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("shared_cache_away", error=str(error))
            return otherwise


class SharedSessions(SharedCache):
    """Sessions, each for ``SESSION_SECONDS``: one that was ended while the server was away must not live on in it."""

    def get_backend_timeout(self, *args: Any) -> int:
        seconds: Any = super().get_backend_timeout(*args)
        return min(seconds, SESSION_SECONDS)
