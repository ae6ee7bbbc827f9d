"""Who is calling, may they, and how often."""

import math
import time
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence

from apps.core import keys as key_format
from apps.core.networks import is_within, network_of, read_networks
from apps.gateway.refusals import Refusal, forbidden, not_found, too_many, unauthorized
from apps.gateway.sharing import SharedRates, make_question
from apps.gateway.tables import Key

_MOST_ADDRESSES = 10_000
_BEARER = b"bearer "
_LATELY = 120.0  # seconds; far more than the pause between two collections


class TokenBucket:
    """At most ``rate`` calls a minute, evenly, and ``burst`` at once. Refills with time alone."""

    __slots__ = ("burst", "filled_at", "per_second", "tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.per_second = rate / 60.0
        self.burst = self.tokens = burst
        self.filled_at = now

    def take(self, now: float) -> float:
        """Take one token and return 0.0, or take none and return the seconds until there is one."""
        tokens = self.tokens + (now - self.filled_at) * self.per_second
        if tokens > self.burst:
            tokens = self.burst
        self.filled_at = now
        if tokens >= 1.0:
            self.tokens = tokens - 1.0
            return 0.0
        self.tokens = tokens
        return (1.0 - tokens) / self.per_second


class Caller:
    """One key and what it is doing now; outlives the snapshots that the key is in."""

    __slots__ = ("barred_until", "bucket", "in_flight", "key", "names", "networks", "question", "used_at")

    def __init__(self, key: Key, now: float) -> None:
        self.in_flight = 0
        self.used_at = -math.inf
        self.use(key, now)

    def use(self, key: Key, now: float) -> None:
        """Take over a new version of the key; its bucket starts anew only where its rate has changed."""
        known = getattr(self, "key", None)
        self.key = key
        self.networks = read_networks(key.networks)
        self.names = {scope.removeprefix("invoke:") for scope in key.scopes if scope.startswith("invoke:")}
        if known is None or known.rate_per_minute != key.rate_per_minute:
            # A hundredth of a minute's calls may come at once: more would let a minute hold more than its rate.
            burst = max(5.0, key.rate_per_minute / 100)
            self.bucket = TokenBucket(key.rate_per_minute, burst, now) if key.rate_per_minute else None
            self.barred_until = -math.inf
            self.question = make_question(key.id, key.rate_per_minute, burst) if key.rate_per_minute else b""

    def may_invoke(self, endpoint: str) -> bool:
        return endpoint in self.names or "*" in self.names


class FailureLimit:
    """Counts wrong keys by address, IPv6 by /64. Forgets the addresses that failed longest ago when there are many.

    The same wrong key shown again is no further guess, and counts once: a client that waits until its new key is known
    here, or that kept an old one, is told 401 as often as it asks.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._known: OrderedDict[str, tuple[TokenBucket, int]] = OrderedDict()  # and what was shown last

    def refusal(self, client: str, shown: bytes, now: float) -> Refusal:
        """What one more failure from this address is answered with: 401, or 429 once there were too many."""
        group, guess = network_of(client), hash(shown)
        bucket, last = self._known.get(group) or (TokenBucket(self._per_minute, self._per_minute, now), None)
        self._known[group] = bucket, guess
        self._known.move_to_end(group)
        if len(self._known) > _MOST_ADDRESSES:
            self._known.popitem(last=False)
        wait = bucket.take(now) if guess != last else 0.0
        return too_many("too many wrong keys from this address", "too_many_failures", wait) if wait else unauthorized()


class Admission:
    """The callers that the present snapshot knows, and the limits on all of them.

    A right key always passes, however many wrong ones came from its address: an address is often shared, and
    178 random bits are not found by trying.
    """

    def __init__(
        self,
        peppers: Sequence[bytes],
        failures_per_minute: int,
        in_flight_per_key: int,
        shared: SharedRates | None = None,
    ) -> None:
        self._peppers = peppers
        self._digester = key_format.Digester(peppers)
        self._callers: dict[str, Caller] = {}
        self._proven: dict[bytes, Caller] = {}  # by header, until the next snapshot; only right keys get in here
        self._failures = FailureLimit(failures_per_minute)
        self._in_flight_per_key = in_flight_per_key
        self._shared = shared

    def replace_keys(self, keys: Mapping[str, Key]) -> None:
        """Serve exactly these keys from now on."""
        now = time.monotonic()
        callers: dict[str, Caller] = {}
        for key_id, key in keys.items():
            caller = self._callers.get(key_id)
            if caller is None:
                caller = Caller(key, now)
            elif caller.key != key:
                caller.use(key, now)
            callers[key_id] = caller
        self._callers = callers
        self._proven = {}
        self._digester = key_format.Digester(self._peppers)

    def identify(self, authorization: bytes, client: str, now: float) -> Caller:
        """The caller that the header proves; else the same 401 for every reason, or 429."""
        caller = self._proven.get(authorization)
        if caller is None:
            caller = self._find(authorization)
            if caller is None:
                raise self._failures.refusal(client, authorization, now)
            self._proven[authorization] = caller
        if caller.key.expires_at is not None and caller.key.expires_at <= time.time():
            raise self._failures.refusal(client, authorization, now)
        return caller

    def refuse_elsewhere(self, caller: Caller, client: str, now: float) -> None:
        """The answer of a wrong key for a right one that comes from outside its ranges of addresses."""
        if not is_within(caller.networks, client):
            raise self._failures.refusal(client, caller.key.digest, now)

    def authorize(self, caller: Caller, project: str, endpoint: str) -> None:
        """Refuse a call to another project as if nothing was there, and one outside the key's scopes as forbidden."""
        if caller.key.project != project:
            raise not_found()
        if not caller.may_invoke(endpoint):
            raise forbidden()

    def take_turn(self, caller: Caller, now: float) -> Coroutine[None, None, None] | None:
        """Count one call against the key's rate; its number of calls in flight is for who makes the call to count.

        Where the rate is shared, what is returned has to be awaited: it refuses when all gateways together are above.
        """
        if caller.in_flight >= self._in_flight_per_key:
            raise too_many("this key has too many calls in flight", "key_concurrency", 1)
        caller.used_at = now
        if caller.bucket is None:
            return None
        if self._shared is not None and self._shared.is_here:
            return self._take_together(self._shared, caller, now)
        _refuse_hasty(caller.bucket.take(now))
        return None

    async def _take_together(self, shared: SharedRates, caller: Caller, now: float) -> None:
        """Ask Redis, though not while it is known to refuse; without an answer the bucket of our own decides."""
        _refuse_hasty(caller.barred_until - now)
        wait = await shared.take(caller.question)
        if wait is None and caller.bucket is not None:
            wait = caller.bucket.take(now)
        elif wait:
            caller.barred_until = now + wait
        _refuse_hasty(wait or 0.0)

    def tell_used(self) -> dict[str, float]:
        """The keys used in the last two minutes, by id, with the time of their last use (seconds since 1970)."""
        now, wall = time.monotonic(), time.time()
        ages = {key_id: now - caller.used_at for key_id, caller in self._callers.items()}
        return {key_id: wall - age for key_id, age in ages.items() if age < _LATELY}

    def _find(self, authorization: bytes) -> Caller | None:
        if authorization[:7].lower() != _BEARER:
            return None
        parsed = key_format.parse(authorization[7:].strip().decode("latin-1"))
        if parsed is None:
            return None
        caller = self._callers.get(parsed.key_id)
        is_right = self._digester.matches(parsed.secret, caller.key.digest if caller else None)
        return caller if is_right else None


def _refuse_hasty(wait: float) -> None:
    if wait > 0.0:
        raise too_many("this key calls more often than its limit allows", "rate_limited", wait)
