"""The one client for addresses that users typed in: it reaches the public internet and nothing of ours.

The address is parsed once and resolved once; every address behind the name must be public; the connection goes to an
address that was checked, with the name only in Host and TLS. No redirects, no proxies from the environment, little
time, small answers. What the operator put on the list of allowed ``host:port`` may be private.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from worker.errors import ToolError
from worker.specs import Message, gettext_noop

SILENCE = 5.0  # seconds that the other side may say nothing
WHOLE = 10.0  # seconds from connecting to the last byte
LARGEST = 1 << 20  # bytes of an answer
_PORTS = {"http": (80,), "https": (443, 8443)}

# Not public whatever the installed Python says (IANA special-purpose registries); some also wrap an IPv4 address.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    seconds: float


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allowed: Sequence[str] = (), ca_bundle: str = ""
) -> Answer:
    """POST to an address from outside and return what was answered, whatever its status.

    ToolError kinds: ``bad_address`` and ``forbidden_address`` (permanent); ``unresolved``, ``unreachable``, ``tls``,
    ``timeout``, ``bad_answer``.
    """
    started = time.monotonic()
    parts = _parse(url)
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme][0]
    addresses = _resolve(host, port)
    if f"{host}:{port}" not in allowed:
        _refuse_private(parts, port, addresses)
    with _translated(host, port):
        connection = _Connection(host, port, addresses, _tls(ca_bundle) if parts.scheme == "https" else None)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        status, answer = connection.exchange(path, body, headers)
    return Answer(status, answer, time.monotonic() - started)


class _Connection(http.client.HTTPConnection):
    """Connects to addresses that were checked instead of asking for them again."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=SILENCE)
        self.default_port = 443 if tls else 80  # for the Host header
        self.addresses, self.tls, self.is_late = addresses, tls, False

    def connect(self) -> None:
        self.sock = self._first_that_answers()
        if self.tls:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.host)

    def _first_that_answers(self) -> socket.socket:
        trouble: OSError = OSError("no address")
        for address in self.addresses[:2]:
            try:
                return socket.create_connection((address, self.port), timeout=SILENCE / 2)
            except OSError as error:
                trouble = error
        raise trouble

    def exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send and read under one deadline: a peer that sends a byte now and then must not hold us."""
        self.connect()
        self.sock.settimeout(SILENCE)
        deadline = threading.Timer(WHOLE, self._give_up)
        deadline.start()
        try:
            self.request("POST", path, body, dict(headers))
            with self.getresponse() as response:
                status, answer = response.status, response.read(LARGEST)
        except (OSError, http.client.HTTPException):
            if not self.is_late:
                raise
        finally:
            deadline.cancel()
            self.close()
        if self.is_late:
            raise TimeoutError
        return status, answer

    def _give_up(self) -> None:
        self.is_late = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_plain = url.isascii() and url.isprintable() and not set(url) & set(" \\<>\"'")
        if not is_plain or parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError
        if parts.port == 0:
            raise ValueError
    except ValueError:
        words = gettext_noop("%(url)s is not an address to send to. Use https://host/path, without user and password.")
        raise ToolError(Message(words, {"url": url[:200]}), kind="bad_address", permanent=True) from None
    return parts


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        words = gettext_noop("The name %(host)s could not be resolved. Check the channel's address.")
        raise ToolError(Message(words, {"host": host}), kind="unresolved") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def is_public(address: str) -> bool:
    """Whether this address belongs to the public internet, seen as strictly as possible."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_global and not any(parsed in network for network in _NEVER if network.version == parsed.version)


def _refuse_private(parts: SplitResult, port: int, addresses: Sequence[str]) -> None:
    if port not in _PORTS[parts.scheme]:
        reason = gettext_noop(
            "Port %(port)s of %(host)s may not be reached from here. Use 443, or ask the operator to allow it."
        )
    elif not all(map(is_public, addresses)):
        reason = gettext_noop(
            "%(host)s is not a public address. Use one that is, or ask the operator to allow %(host)s:%(port)s."
        )
    else:
        return
    message = Message(reason, {"host": parts.hostname, "port": port})
    raise ToolError(message, kind="forbidden_address", permanent=True)


def _tls(ca_bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle:
        context.load_verify_locations(ca_bundle)
    return context


@contextmanager
def _translated(host: str, port: int) -> Iterator[None]:
    params: dict[str, Any] = {"host": host, "port": port}
    try:
        yield
    except ssl.SSLError as error:
        words = gettext_noop("The certificate or TLS of %(host)s is not in order: %(reason)s")
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise ToolError(Message(words, params | {"reason": reason}), kind="tls") from error
    except TimeoutError as error:
        words = gettext_noop("%(host)s:%(port)s did not answer in time. Check that it is up.")
        raise ToolError(Message(words, params), kind="timeout") from error
    except OSError as error:
        words = gettext_noop("%(host)s:%(port)s could not be reached: %(reason)s")
        raise ToolError(
            Message(words, params | {"reason": error.strerror or str(error)}), kind="unreachable"
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        words = gettext_noop("%(host)s:%(port)s gave an answer that is not HTTP.")
        raise ToolError(Message(words, params), kind="bad_answer") from error
