"""Replicas as the gateway sees them: their connections, what they are doing, and whether they are trusted just now."""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence

from apps.gateway.config import Limits
from apps.gateway.tables import Replica
from apps.gateway.upstream import Connection, Unreachable

EJECT_AFTER = 3
FORGIVE_SECONDS = 120.0


class Backend:
    """One replica with its pool of kept-alive connections."""

    __slots__ = (
        "_ejections",
        "_failures",
        "_idle",
        "_limits",
        "_seat",
        "ejected_until",
        "head",
        "in_flight",
        "is_gone",
    )

    def __init__(self, replica: Replica, limits: Limits) -> None:
        self._limits = limits
        self._seat = (replica.host, replica.port)
        self.head = f"host: {replica.host}:{replica.port}\r\nx-slipway-secret: {replica.secret}\r\n".encode("latin-1")
        self._idle: deque[Connection] = deque()
        self.in_flight = 0
        self.is_gone = False
        self._failures = self._ejections = 0
        self.ejected_until = 0.0

    # --- connections ---------------------------------------------------------------------------------------------

    def take_idle(self) -> Connection | None:
        """The connection that was used last, if there is one still open."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.is_lost:
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection; raises Unreachable."""
        loop = asyncio.get_running_loop()
        host, port = self._seat
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                transport, connection = await loop.create_connection(
                    lambda: Connection(loop, self._limits.buffer_bytes), host, port
                )
            if not connection.is_lost:
                _end_with_its_machine(transport.get_extra_info("socket"), self._limits.silent_seconds)
        except (OSError, TimeoutError) as error:
            raise Unreachable(str(error) or "no connection in time") from error
        return connection

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep a connection for the next call if it can carry one, else close it."""
        if connection.is_reusable and not self.is_gone:
            connection.idle_since = now
            self._idle.append(connection)
        elif not connection.is_lost:
            connection.close()

    def close_idle(self, before: float) -> None:
        """Close what has not been used since ``before``, and forget what the replica closed."""
        kept = deque(connection for connection in self._idle if not connection.is_lost)
        while kept and kept[0].idle_since < before:
            kept.popleft().close()
        self._idle = kept

    def retire(self) -> None:
        """Send nothing more here; calls in flight come to their end."""
        self.is_gone = True
        self.close_idle(float("inf"))

    # --- trust ---------------------------------------------------------------------------------------------------

    def note_success(self) -> None:
        self._failures = 0

    def note_failure(self, peers: Sequence["Backend"], now: float) -> bool:
        """Count a failure in a row; after the third the replica is left out for a while: True if that begins now.

        At most half of the peers are left out at a time, so never the last one; each further time lasts longer.
        """
        self._failures += 1
        if self._failures < EJECT_AFTER or self.ejected_until > now:
            return False
        others_out = sum(peer.ejected_until > now for peer in peers if peer is not self)
        if (others_out + 1) * 2 > len(peers):
            return False
        if now - self.ejected_until > FORGIVE_SECONDS:
            self._ejections = 0
        self._ejections += 1
        limits = self._limits
        self.ejected_until = now + min(limits.eject_seconds * self._ejections, limits.eject_most_seconds)
        self._failures = 0
        return True


def _end_with_its_machine(line: socket.socket, seconds: float) -> None:
    """Let the kernel end a connection to a machine that is gone: one that lost its power or cable says no goodbye."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        return
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # also while an answer is waited for
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(seconds / 2)))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(seconds / 6)))
