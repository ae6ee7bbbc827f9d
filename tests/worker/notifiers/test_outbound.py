"""The client for addresses of users' reaches the public internet alone, in bounded time, and says what went wrong."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.worker.notifiers.receivers import http_receiver
from worker.errors import ToolError
from worker.notifiers import outbound


def kind_of(url: str, allowed: tuple[str, ...] = ()) -> tuple[str, bool]:
    with pytest.raises(ToolError) as caught:
        outbound.post(url, b"{}", {}, allowed=allowed)
    return caught.value.kind, caught.value.permanent


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1",
     "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255",
     "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[::127.0.0.1]",
     "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::]", "[ff02::1]", "[2001:db8::1]", "localhost"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert kind_of(f"http://{address}/") == ("forbidden_address", True)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert outbound.is_public(address)


@pytest.mark.parametrize(
    "url",
    ["", "hook", "ftp://example.org/", "file:///etc/passwd", "http://", "https:///path", "http://user:word@8.8.8.8/",
     "http://user@8.8.8.8/", "http://8.8.8.8:99999/", "http://8.8.8.8:0/", "http://8.8.8.8/a b",
     "http://8.8.8.8/\r\nX: y",
     "http://8.8.8.8\\@127.0.0.1/", "http://exämple.org/", "gopher://8.8.8.8/", "http://[::1/"],
)  # fmt: skip
def test_what_is_not_a_plain_address_is_refused(url: str) -> None:
    assert kind_of(url) == ("bad_address", True)


@pytest.mark.parametrize("url", ["http://8.8.8.8:22/", "https://8.8.8.8:6379/", "http://8.8.8.8:443/"])
def test_other_ports_are_refused(url: str) -> None:
    assert kind_of(url) == ("forbidden_address", True)


def test_the_allow_list_names_host_and_port_exactly() -> None:
    with http_receiver() as receiver:
        url = f"http://{receiver.host}/"
        assert outbound.post(url, b"{}", {}, allowed=[receiver.host]).status == 200
        assert kind_of(url, ("127.0.0.1",)) == ("forbidden_address", True)
        assert kind_of(url, ("127.0.0.1:1",)) == ("forbidden_address", True)
    assert len(receiver.requests) == 1


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "8.8.8.8", "10.0.0.1")
    assert kind_of("https://example.org/") == ("forbidden_address", True)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """The name server is the one thing that a test of this machine cannot stand up for real."""
    asked: list[str] = []

    def answer(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", answer)
    return asked


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    asked = resolve_to(monkeypatch, "8.8.8.8")
    monkeypatch.setattr(outbound.socket, "create_connection", connect)
    assert kind_of("https://rebinding.example.org/") == ("unreachable", False)
    assert connected == [("8.8.8.8", 443)]
    assert asked == ["rebinding.example.org"]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    with http_receiver() as receiver:
        assert outbound.post(f"http://{receiver.host}/", b"{}", {}, allowed=[receiver.host]).status == 200


def test_an_answer_is_read_up_to_its_limit() -> None:
    with http_receiver() as receiver:
        receiver.body = bytes(3 << 20)
        answer = outbound.post(f"http://{receiver.host}/", b"{}", {}, allowed=[receiver.host])
    assert len(answer.body) == outbound.LARGEST


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A listener that does with its first client what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client:
                behave(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_silence_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SILENCE", 0.2)
    over = threading.Event()
    with peer(lambda client: over.wait(10) and None) as host:
        assert kind_of(f"http://{host}/", (host,)) == ("timeout", False)
        over.set()


def test_a_byte_now_and_then_does_not_hold_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "WHOLE", 0.5)

    def drip(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            try:
                client.sendall(b"X-A: b\r\n"[:1])
            except OSError:
                return
            time.sleep(0.02)

    with peer(drip) as host:
        started = time.monotonic()
        assert kind_of(f"http://{host}/", (host,)) == ("timeout", False)
        assert time.monotonic() - started < 5


def test_what_is_not_http_is_said_so() -> None:
    with peer(lambda client: client.recv(1000) and client.sendall(b"220 mail here\r\n")) as host:
        assert kind_of(f"http://{host}/", (host,)) == ("bad_answer", False)


def test_what_is_not_tls_is_said_so() -> None:
    with peer(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as host:
        assert kind_of(f"https://{host}/", (host,)) == ("tls", False)


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        assert kind_of(f"http://{host}/", (host,)) == ("unreachable", False)


def test_a_name_that_does_not_exist_may_exist_later() -> None:
    assert kind_of("https://nothing.invalid/") == ("unresolved", False)
