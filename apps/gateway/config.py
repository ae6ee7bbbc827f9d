"""What one gateway process is told at its start. Sizes are bytes, times seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """How much of anything a caller, a replica or the house may take."""

    head_bytes: int = 16 << 10
    head_seconds: float = 10.0  # from a request's first byte to the end of its head
    buffer_bytes: int = 64 << 10  # a longer body is streamed, and cannot be sent a second time
    body_idle_seconds: float = 10.0
    body_seconds: float = 60.0  # plus the time that the body takes at the slowest rate
    slowest_rate: int = 64 << 10  # bytes a second
    answer_idle_seconds: float = 60.0  # between two parts of an answer that has begun
    connect_seconds: float = 2.0
    silent_seconds: float = 15.0  # until a machine that acknowledges nothing counts as gone; a busy replica's does
    pool_idle_seconds: float = 20.0  # shorter than what replicas keep, so that we close first
    eject_seconds: float = 5.0  # the first time that a replica fails three times in a row
    eject_most_seconds: float = 60.0
    in_flight: int = 4096
    in_flight_per_key: int = 256
    failures_per_minute: int = 20  # wrong keys from one address
    redis_seconds: float = 0.05  # for an answer about a shared rate; after that the gateway decides alone
    refresh_seconds: float = 1.0
    window_seconds: int = 10
    keep_windows_seconds: float = 900.0


@dataclass(frozen=True)
class GatewaySettings:
    """``name`` tells this gateway's windows from another's: at most 40 characters, the same after a restart."""

    name: str
    home: Path  # a folder of its own: the last snapshot, and windows not yet collected
    peppers: Sequence[bytes] = field(repr=False)  # newest first; one that can change is looked at with each snapshot
    internal_token: str = field(repr=False)
    redis_url: str = field(repr=False, default="")  # where gateways count their keys' rates together
    limits: Limits = Limits()
    proxies: int = 0  # in front, whose X-Forwarded-For is believed
