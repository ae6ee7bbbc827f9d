"""Rates counted together by all gateways, in Redis: at most one round trip for a call.

Where Redis does not answer in time, each gateway goes on with the buckets of its own, and tries again a second later.
The protocol is Redis' (RESP2), as little of it as one script with whole numbers needs: a client library would take more
of a core's time than the rest of the admission together.
"""

import asyncio
import logging
import ssl
from collections import Counter, deque
from typing import cast
from urllib.parse import unquote, urlsplit

logger = logging.getLogger(__name__)

AWAY_SECONDS = 1.0
_CONNECT_SECONDS = 2.0
_TOO_LONG = 64 << 10  # bytes without the end of an answer: whoever sends that is no Redis

# A token bucket as one number: when it would be full again, in µs of Redis' own clock (GCRA). The answer is the time to
# wait in µs, 0 when the call was counted. Whatever a clock that was set back has left behind, nobody waits for longer
# than a token takes.
_SCRIPT = b"""local time = redis.call('TIME')
local now, pause, burst = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local most = now + burst * pause
local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), most) + pause
if full > most then return math.ceil(full - most) end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
return 0"""


class RedisError(Exception):
    """Redis refused a command, or is gone."""


class SharedRates:
    """One connection to Redis, kept up by ``run``; every call in flight may have a question on it."""

    def __init__(self, url: str, answer_seconds: float, events: Counter[str]) -> None:
        self._url = urlsplit(url)
        self._answer_seconds = answer_seconds
        self._events = events
        self._line: _Line | None = None
        self._is_known_away = False

    @property
    def is_here(self) -> bool:
        return self._line is not None and not self._line.is_lost

    async def take(self, question: bytes) -> float | None:
        """Count one call: 0.0, or the seconds until the rate allows it, or None when Redis did not say."""
        line = self._line
        if line is None or line.is_lost:
            return None
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await line.ask(question) / 1e6
        except (RedisError, TimeoutError) as error:
            self._give_up(line, error)
            return None

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost; never ends by itself."""
        while True:
            if not self.is_here:
                await self._connect()
            await asyncio.sleep(AWAY_SECONDS)

    def close(self) -> None:
        if self._line is not None:
            self._line.abort()

    async def _connect(self) -> None:
        url, line = self._url, None
        tls = ssl.create_default_context() if url.scheme == "rediss" else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                _, line = await loop.create_connection(_Line, url.hostname or "", url.port or 6379, ssl=tls)
                if url.password:
                    user = [unquote(url.username)] if url.username else []
                    await line.ask(_command("AUTH", *user, unquote(url.password)))
                await line.ask(_command("SELECT", url.path.strip("/") or "0"))
        except (OSError, RedisError) as error:  # TimeoutError is an OSError
            self._give_up(line, error)
        else:
            self._line, self._is_known_away = line, False
            logger.info("rates are counted together with the other gateways")

    def _give_up(self, line: "_Line | None", error: Exception) -> None:
        if line is not None:
            line.abort()
        if not self._is_known_away:
            self._is_known_away = True
            self._events["redis_away"] += 1
            logger.warning("rates are counted by this gateway alone: %s", str(error) or "Redis did not answer in time")


def make_question(key_id: str, per_minute: int, burst: float) -> bytes:
    """What ``take`` asks for a key with this rate."""
    pause = str(round(60e6 / per_minute))
    return _command("EVAL", _SCRIPT, "1", f"slipway:rate:{key_id}", pause, f"{burst:g}")


class _Line(asyncio.Protocol):
    """Commands out, answers in, in the same order."""

    def __init__(self) -> None:
        self.is_lost = False
        self._transport: asyncio.Transport
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._buffered = b""

    def ask(self, command: bytes) -> "asyncio.Future[int]":
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._transport.write(command)
        return answer

    def abort(self) -> None:
        self.is_lost = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *answers, self._buffered = (self._buffered + data).split(b"\r\n")
        if len(answers) > len(self._waiting) or len(self._buffered) > _TOO_LONG:
            self.abort()
            return
        for answer in answers:
            self._settle(self._waiting.popleft(), answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        while self._waiting:
            self._settle(self._waiting.popleft(), b"-the connection was lost")

    def _settle(self, waiting: "asyncio.Future[int]", answer: bytes) -> None:
        if waiting.done():  # whoever asked is gone
            return
        if answer[:1] == b":":
            waiting.set_result(int(answer[1:]))
        elif answer[:1] == b"+":
            waiting.set_result(0)
        else:
            waiting.set_exception(RedisError(answer[1:].decode(errors="replace")))


def _command(*words: str | bytes) -> bytes:
    parts = [word if isinstance(word, bytes) else word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
