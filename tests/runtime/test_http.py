"""HTTP/1.1 as it really arrives: in pieces, in rows, damaged, too large, too slow; and no answer holds a trace."""

import gzip
import json
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime import bundles
from tests.runtime.replicas import Replica, exchange, read_all, read_answer, start

FEATURES, TARGET = bundles.digits()
PATH = "/v2/models/digits/infer"


def body_for(row: int, identity: str = "") -> bytes:
    document = {
        "id": identity,
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": FEATURES[row].tolist()}],
    }
    return json.dumps(document).encode()


def post(body: bytes, *lines: str) -> bytes:
    head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_pipelined_answers_come_in_order(digits: Replica) -> None:
    """More of them than may wait, with quick errors between slow answers."""
    requests = [
        post(body_for(n, f"n{n}")) if n % 3 else b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" for n in range(100)
    ]
    answers = exchange(digits, b"".join(requests)).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 100
    for number, answer in enumerate(answers):
        assert (b'"id":"n%d"' % number in answer) if number % 3 else answer.startswith(b"404")


def test_a_connection_is_kept_and_small_answers_are_not_held_back(digits: Replica) -> None:
    """Held-back segments (Nagle against delayed acknowledgement) cost 40 ms each."""
    with digits.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for row in range(20):
            started = time.perf_counter()
            sock.sendall(post(body_for(row)))
            assert read_answer(sock).status == 200
            times.append(time.perf_counter() - started)
    assert sorted(times)[10] < 0.03


def test_a_request_may_come_byte_by_byte(digits: Replica) -> None:
    request = post(body_for(0), "X-Long: " + "y" * 50)
    with digits.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(request)):
            sock.sendall(request[at : at + 1])
        assert read_answer(sock).json()["outputs"][0]["data"] == [TARGET[0]]


def test_chunked_bodies_are_taken(digits: Replica) -> None:
    body = body_for(1)
    pieces = [body[:10], body[10:300], body[300:]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert b'"label"' in exchange(digits, head + chunks)


def test_trailers_change_nothing(digits: Replica) -> None:
    body = body_for(1)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    trailer = b"0\r\nContent-Encoding: br\r\nInference-Header-Content-Length: 1\r\n\r\n"
    assert b"200 OK" in exchange(digits, head + b"%x\r\n%s\r\n" % (len(body), body) + trailer)


def test_nothing_after_the_last_request_is_answered(digits: Replica) -> None:
    last = b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(digits, last * 3).count(b"HTTP/1.1 ") == 1
    old = b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert exchange(digits, old * 3).count(b"HTTP/1.1 ") == 1
    assert exchange(digits, post(body_for(0), "Connection: close") + last).count(b"HTTP/1.1 ") == 1


def test_a_client_that_reads_late_gets_everything(digits: Replica) -> None:
    """More answers than the socket's buffers hold: the server stops reading meanwhile instead of piling them up."""
    rows = FEATURES[:400]
    row = {"name": "X", "datatype": "FP32", "shape": [len(rows), 64], "data": rows.ravel().tolist()}
    request = post(json.dumps({"inputs": [row]}).encode())
    with digits.connect() as sock:
        sender = threading.Thread(target=sock.sendall, args=(request * 150 + post(body_for(0), "Connection: close"),))
        sender.start()
        until_stalled(sock)
        answers = read_all(sock)
        sender.join()
    assert answers.count(b"HTTP/1.1 200 OK") == 151


def until_stalled(sock: socket.socket) -> None:
    """Wait until the server has nothing more to add to what lies unread in the socket."""
    seen = -1
    while (waiting := len(sock.recv(1 << 26, socket.MSG_PEEK))) != seen:
        seen = waiting
        time.sleep(0.05)


def test_expect_is_answered_before_the_body_comes(digits: Replica) -> None:
    body = body_for(2)
    request = post(body, "Expect: 100-continue")
    head = request[: -len(body)]
    with digits.connect() as sock:
        sock.sendall(head)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_answer(sock).status == 200
        sock.sendall(head.replace(b"Content-Length: ", b"Content-Length: 999999"))
        assert read_answer(sock).status == 413


def test_head_has_the_length_and_no_body(digits: Replica) -> None:
    answer = exchange(digits, b"HEAD /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"Content-Length: 0" not in head
    assert body == b""


def test_http_1_0_is_answered_and_closed(digits: Replica) -> None:
    with digits.connect() as sock:
        sock.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        answer = read_all(sock)
    assert b"Connection: close" in answer
    assert answer.endswith(b'{"live":true}')


def test_an_offered_upgrade_is_ignored_and_the_body_read(digits: Replica) -> None:
    """Java's HTTP client offers h2c with every first request."""
    lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")
    answer = exchange(digits, post(body_for(3), *lines) + post(body_for(4)))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b'"data":[%d]' % TARGET[3] in answer


def test_an_absolute_target_is_understood(digits: Replica) -> None:
    answer = exchange(digits, b"GET http://example.org/v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b'{"live":true}' in answer


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_compressed_requests_and_answers(digits: Replica, compress: Callable[[bytes], bytes]) -> None:
    coding = "gzip" if compress is gzip.compress else "deflate"
    document = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [50, 64], "data": FEATURES[:50].tolist()}]}
    body = compress(json.dumps(document).encode())
    plain = digits.infer("digits", document)
    answer = digits.ask("POST", PATH, body, {"Content-Encoding": coding, "Accept-Encoding": f"br, {coding};q=0.5"})
    assert answer.headers["content-encoding"] == coding
    assert zlib.decompress(answer.body, 31 if coding == "gzip" else 15) == plain.body
    refusing = digits.infer("digits", document, {"Accept-Encoding": f"{coding};q=0"})
    assert refusing.body == plain.body


@pytest.mark.parametrize(
    ("coding", "body", "status", "expected"),
    [
        ("br", b"x", 415, "gzip and deflate"),
        ("gzip", b"not compressed", 400, "damaged"),
        ("gzip", gzip.compress(body_for(0), mtime=0)[:-9], 400, "damaged"),
        ("gzip", gzip.compress(b" " * (1 << 20), mtime=0), 413, "expands"),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, 400, "damaged"),
    ],
)
def test_compressed_bodies_are_bounded(digits: Replica, coding: str, body: bytes, status: int, expected: str) -> None:
    answer = digits.ask("POST", PATH, body, {"Content-Encoding": coding})
    assert answer.status == status
    assert expected in answer.json()["error"]


GET = b"GET /v2 HTTP/1.1\r\nHost: x\r\n"
DAMAGED = [
    (b"nonsense\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /v2 HTTP/3.0\r\nHost: x\r\n\r\n", 400),
    (b"GET /v2 HTTP/1.1\r\n\r\n", 400),
    (b"GET /v2 HTTP/1.1\r\nHost: x\r\nHo st: y\r\n\r\n", 400),
    (GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    (GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    (GET + b"Content-Length: -1\r\n\r\n", 400),
    (GET + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (GET + b" folded: x\r\n\r\n", 400),
    (GET + b"X: a\x00b\r\n\r\n", 400),
    (GET + b"Expect: miracles\r\n\r\n", 417),
    (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (GET + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
    (GET + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + b"\r\n", 431),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (post(b"", "Content-Type: x").replace(b"Content-Length: 0", b"Content-Length: 2000000"), 413),
    (GET + b"Transfer-Encoding: chunked\r\n\r\n180000\r\n" + b"a" * 0x180000, 413),
]


@pytest.mark.parametrize(("sent", "status"), DAMAGED)
def test_damaged_requests_are_refused_with_the_error_object(digits: Replica, sent: bytes, status: int) -> None:
    answer = exchange(digits, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in head
    assert b"X-Slipway-Release: r-7" in head
    assert list(json.loads(body)) == ["error"]


def test_an_unknown_address_does_not_cost_the_connection(digits: Replica) -> None:
    with digits.connect() as sock:
        sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(sock).status == 404
        sock.sendall(post(body_for(0)))
        assert read_answer(sock).status == 200


def test_mutated_requests_never_reach_a_fault_of_ours(digits: Replica) -> None:
    """Valid requests with a few bytes changed, dropped or repeated: an orderly answer or none, and life goes on."""
    chance = random.Random(20261120)
    for _ in range(300):
        request = bytearray(post(body_for(chance.randrange(100))))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(request))
            request[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        answer = exchange(digits, bytes(request))
        assert answer == b"" or answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 4", b"HTTP/1.1 5")), answer
        assert b"Traceback" not in answer
    assert digits.ask("GET", "/v2/health/ready").status == 200
    assert [event["event"] for event in digits.events()] == ["listening", "ready"]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    folder: Path = tmp_path_factory.mktemp("impatient") / "bundle"
    settings = {"SLIPWAY_IDLE_SECONDS": "1.5", "SLIPWAY_RECEIVE_SECONDS": "0.2"}
    with start(bundles.picky_bundle(folder), **settings) as replica:
        yield replica


@pytest.mark.parametrize("sent", [b"GET /v2", b"POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"])
def test_a_request_that_does_not_arrive_is_given_up(impatient: Replica, sent: bytes) -> None:
    with impatient.connect() as sock:
        sock.sendall(sent)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed_without_a_word(impatient: Replica) -> None:
    with impatient.connect() as sock:
        assert read_all(sock) == b""


def test_many_offered_upgrades_in_a_row_are_all_ignored(digits: Replica) -> None:
    offer = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert exchange(digits, offer * 2000).count(b"200 OK") == 2000
