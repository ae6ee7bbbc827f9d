"""What is not one clear HTTP request ends at the gateway: nothing of it reaches a replica."""

import contextlib
import re
import socket
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.gateway.conftest import INFER, Gateway
from tests.gateway.replicas import Stage

GET = b"GET /demo/{endpoint}/v2 HTTP/1.1\r\n"
POST = b"POST /demo/{endpoint}" + INFER.encode() + b" HTTP/1.1\r\n"
HOST = b"Host: gateway\r\n"
KEY = b"Authorization: Bearer {key}\r\n"
CLOSE = b"Connection: close\r\n"
SMUGGLED = (
    b"GET /demo/{endpoint}/v2/health/live HTTP/1.1\r\nHost: gateway\r\nX-Request-Id: smuggled\r\n" + KEY + b"\r\n"
)
HEAD = POST + HOST + KEY

Scene = tuple[Callable[[bytes], bytes], Callable[[], None]]

CORPUS = {
    "a length and chunks": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX" + SMUGGLED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + SMUGGLED,
    "two equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a hexadecimal length": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "an empty length": HEAD + b"Content-Length:\r\n\r\n" + SMUGGLED,
    "a length beyond all numbers": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "an unknown coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + SMUGGLED,
    "a coding before chunked": HEAD + CLOSE + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked that is not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a misspelt coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "a coding with a vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding whose name ends in a space": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a folded line": HEAD + b"X-Folded: a\r\n b\r\n\r\n",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a space before the first header": GET + b" Host: gateway\r\n" + KEY + b"\r\n",
    "line feeds alone": (GET + HOST + KEY + b"\r\n").replace(b"\r\n", b"\n"),
    "one line feed alone": GET + b"Host: gateway\n" + KEY + b"\r\n",
    "a carriage return alone": GET + b"Host: gateway\r" + KEY + b"\r\n",
    "a carriage return in a value": GET + HOST + b"X-A: a\rb\r\n" + KEY + b"\r\n",
    "a null in a value": GET + HOST + b"X-A: a\x00b\r\n" + KEY + b"\r\n",
    "a null in a name": GET + HOST + b"X\x00A: b\r\n" + KEY + b"\r\n",
    "a space in a name": GET + HOST + b"X A: b\r\n" + KEY + b"\r\n",
    "brackets in a name": GET + HOST + b"X(A): b\r\n" + KEY + b"\r\n",
    "an empty name": GET + HOST + b": b\r\n" + KEY + b"\r\n",
    "no colon": GET + HOST + b"nonsense\r\n" + KEY + b"\r\n",
    "no host": GET + CLOSE + KEY + b"\r\n",
    "two hosts": GET + HOST + HOST + CLOSE + KEY + b"\r\n",
    "two keys": GET + HOST + KEY + CLOSE + KEY + b"\r\n",
    "two content types": HEAD + CLOSE + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\n{}",
    "two tensor header lengths": HEAD
    + CLOSE
    + b"Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a chunk size that is no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n",
    "a chunk ended by a line feed": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /demo/{endpoint}/v2\r\n\r\n",
    "HTTP/2.0": GET.replace(b"1.1", b"2.0") + HOST + KEY + b"\r\n",
    "HTTP/1.10": GET.replace(b"1.1", b"1.10") + HOST + KEY + b"\r\n",
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an unknown method": GET.replace(b"GET", b"BREW") + HOST + KEY + b"\r\n",
    "a method in small letters": GET.replace(b"GET", b"get") + HOST + KEY + b"\r\n",
    "two spaces in the first line": GET.replace(b" HTTP", b"  x HTTP") + HOST + KEY + b"\r\n",
    "a tab in the first line": GET.replace(b"GET ", b"GET\t") + HOST + KEY + b"\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + KEY + b"\r\n",
    "an upgrade to a websocket": GET
    + HOST
    + KEY
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n",
    "an upgrade to HTTP/2": GET + HOST + KEY + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + SMUGGLED,
    "a head of 17 kB": GET + HOST + KEY + b"X-Long: " + b"x" * 17_000 + b"\r\n\r\n",
    "a head of many lines": GET + HOST + KEY + b"".join(b"X-%d: x\r\n" % n for n in range(3000)) + b"\r\n",
    "an address of 17 kB": GET.replace(b"/v2", b"/v2/models/" + b"x" * 17_000) + HOST + KEY + b"\r\n",
}

PATHS = [
    "/demo/{endpoint}/v2/../../../metrics",
    "/demo/{endpoint}/v2/models/../../other/v2",
    "/demo/{endpoint}/v2/models/%2e%2e/ready",
    "/demo/{endpoint}/v2/models/digits%2finfer",
    "/demo/{endpoint}%2fv2",
    "/demo//{endpoint}/v2",
    "//demo/{endpoint}/v2",
    "/demo/{endpoint}//v2",
    "/demo/{endpoint}/v2//",
    "/demo/{endpoint}/v2/models//infer",
    "/demo/{endpoint}/v2/models/..",
    "/demo/{endpoint}/v2/models/.hidden/ready",
    "/demo/{endpoint}/v2/models/a;b/ready",
    "/demo/{endpoint}/v2/models/a%00b/ready",
    "/demo/{endpoint}/v2/models/a%0d%0ab/ready",
    "/demo/{endpoint}/v2\\models",
    "/demo/./{endpoint}/v2",
    "/demo/{endpoint}/v2#fragment",
    "/demo/{endpoint}/metrics",
    "http://elsewhere/demo/{endpoint}/../v2",
    "*",
]


@pytest.fixture(scope="module")
def scene(shared_gateway: Gateway, stage: Stage) -> Scene:
    replica = stage.add()
    key, endpoint = shared_gateway.make_key(), shared_gateway.make_endpoint(replica.as_replica())
    shared_gateway.publish()

    def send(template: bytes) -> bytes:
        data = template.replace(b"{endpoint}", endpoint.encode()).replace(b"{key}", key.encode())
        return shared_gateway.exchange_raw(data)

    def check_that_nothing_arrived() -> None:
        assert (replica.asked, replica.strange) == ([], [])

    return send, check_that_nothing_arrived


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.mark.parametrize("name", CORPUS)
def test_a_malformed_request_is_refused_and_nothing_reaches_a_replica(scene: Scene, name: str) -> None:
    send, check_that_nothing_arrived = scene

    answer = send(CORPUS[name])

    assert statuses(answer) in ([400], [401], [404], [405], [413], [431], []), answer
    if answer:
        assert b'{"error":"' in answer
        assert b"x-request-id: " in answer
        assert b"x-slipway-release: " in answer
    check_that_nothing_arrived()


@pytest.mark.parametrize("path", PATHS)
def test_a_path_outside_the_grammar_is_nowhere(scene: Scene, path: str) -> None:
    send, check_that_nothing_arrived = scene

    answer = send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n")

    assert statuses(answer) in ([400], [404]), answer
    check_that_nothing_arrived()


def test_a_request_that_is_well_formed_does_arrive(shared_gateway: Gateway, stage: Stage) -> None:
    replica = stage.add()
    key, endpoint = shared_gateway.make_key(), shared_gateway.make_endpoint(replica.as_replica())
    shared_gateway.publish()

    answer = shared_gateway.exchange_raw(
        (GET + HOST + CLOSE + KEY + b"\r\n").replace(b"{endpoint}", endpoint.encode()).replace(b"{key}", key.encode())
    )

    assert statuses(answer) == [200]
    assert [asked.path for asked in replica.asked] == ["/v2"]


def test_pipelined_requests_are_answered_in_order(shared_gateway: Gateway, stage: Stage) -> None:
    key, endpoint = shared_gateway.make_key(), shared_gateway.make_endpoint(stage.add().as_replica())
    shared_gateway.publish()
    request = (GET + HOST + KEY + b"X-Request-Id: number-%d\r\n").replace(b"{endpoint}", endpoint.encode())
    requests = [request.replace(b"{key}", key.encode()) % n for n in range(5)]

    answer = shared_gateway.exchange_raw(b"\r\n".join(requests) + CLOSE + b"\r\n")

    assert re.findall(rb"x-request-id: number-(\d)", answer) == [b"0", b"1", b"2", b"3", b"4"]


def test_what_follows_a_good_request_does_not_spoil_its_answer(shared_gateway: Gateway, stage: Stage) -> None:
    key, endpoint = shared_gateway.make_key(), shared_gateway.make_endpoint(stage.add().as_replica())
    shared_gateway.publish()
    good = (GET + HOST + KEY + b"\r\n").replace(b"{endpoint}", endpoint.encode()).replace(b"{key}", key.encode())

    answer = shared_gateway.exchange_raw(good + b"nonsense\r\n\r\n")

    assert statuses(answer) == [200]
    assert b"connection: close" in answer


def test_a_head_that_drips_is_ended(launch: "Callable[..., Gateway]") -> None:
    gateway = launch(head_seconds=0.6)
    began = time.monotonic()

    with contextlib.ExitStack() as stack:
        clients = []
        for start in (b"", b"GET /healthz HT", b"\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: "):
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 10)))
            clients[-1].sendall(start)
        answers = [b"".join(iter(partial(client.recv, 1000), b"")) for client in clients]

    assert [statuses(answer) for answer in answers] == [[408]] * 4
    assert time.monotonic() - began < 5
