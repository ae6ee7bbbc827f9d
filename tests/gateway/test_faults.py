"""What clients see, and do not see, when replicas misbehave."""

import asyncio
import http.client
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.gateway.config import Limits
from apps.gateway.replicas import Backend
from apps.gateway.tables import Replica, Route
from apps.gateway.upstream import Unreachable
from tests.gateway.conftest import INFER, Gateway, free_port, wait_until
from tests.gateway.replicas import (
    Asked,
    Stage,
    answer_after,
    answer_big,
    answer_well,
    answer_with,
    break_off_after,
    compose,
)

NOBODY = Replica("nobody", "127.0.0.1", 1, "")


async def keep_calling(gateway: Gateway, path: str, key: str, until: float) -> Counter[str]:
    """Call over one kept-alive connection as fast as it goes; the answers by status."""
    seen: Counter[str] = Counter()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        seen[head[9:12].decode()] += 1
    writer.close()
    return seen


def call_together(gateway: Gateway, path: str, key: str, clients: int, seconds: float) -> Counter[str]:
    async def run() -> Counter[str]:
        until = time.monotonic() + seconds
        counts = await asyncio.gather(*(keep_calling(gateway, path, key, until) for _ in range(clients)))
        return sum(counts, Counter())

    return asyncio.run(run())


def test_killing_one_of_two_replicas_under_load_is_seen_by_no_client(gateway: Gateway, stage: Stage) -> None:
    first, second = stage.add(), stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(first.as_replica(), second.as_replica())
    gateway.publish()
    masked, ejections = gateway.event("masked"), gateway.event("ejections")

    threading.Timer(0.7, stage.kill, [first]).start()
    seen = call_together(gateway, f"/demo/{endpoint}{INFER}", key, clients=32, seconds=1.6)

    assert list(seen) == ["200"]
    assert seen["200"] > 200
    assert first.asked
    assert gateway.event("masked") > masked
    assert gateway.event("ejections") > ejections


def test_a_replica_that_comes_back_gets_calls_again(gateway: Gateway, stage: Stage) -> None:
    first, second = stage.add(), stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(first.as_replica(), second.as_replica())
    gateway.publish()
    stage.kill(first)
    assert {gateway.infer(endpoint, key).status for _ in range(10)} == {200}

    again = stage.add(port=first.port)

    wait_until(lambda: gateway.infer(endpoint, key).status == 200 and again.asked, seconds=10)


def test_a_call_that_must_not_be_repeated_is_made_once(gateway: Gateway, stage: Stage) -> None:
    replicas = [stage.add(break_off_after(b"")) for _ in range(2)]
    key = gateway.make_key()
    endpoint = gateway.make_endpoint(*(replica.as_replica() for replica in replicas), idempotent=False)
    gateway.publish()

    answers = [gateway.infer(endpoint, key) for _ in range(4)]

    assert {answer.status for answer in answers} == {502}
    assert answers[0].error.startswith("the replica broke off")
    assert sum(len(replica.asked) for replica in replicas) == 4


def test_a_call_that_reached_nobody_may_always_go_elsewhere(gateway: Gateway, stage: Stage) -> None:
    good = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(NOBODY, good.as_replica(), idempotent=False)
    gateway.publish()

    small = [gateway.infer(endpoint, key).status for _ in range(6)]
    large = gateway.infer(endpoint, key, bytes(300_000))

    assert [*small, large.status] == [200] * 7
    assert len(good.asked) == 7
    assert good.asked[-1].size == 300_000


def test_a_call_that_one_replica_declines_goes_to_another(gateway: Gateway, stage: Stage) -> None:
    """It loads, drains or has too much to do: nothing was done yet, even where a call must not be repeated."""
    loading = compose(503, b'{"error": "The model is still loading"}', "Retry-After: 1")
    first, second = stage.add(answer_with(loading)), stage.add()
    key = gateway.make_key()
    endpoint = gateway.make_endpoint(first.as_replica(), second.as_replica(), idempotent=False)
    alone = gateway.make_endpoint(stage.add(answer_with(loading)).as_replica())
    gateway.publish()

    assert {gateway.infer(endpoint, key).status for _ in range(20)} == {200}
    assert first.asked
    answer = gateway.infer(alone, key)
    assert (answer.status, answer.error, answer.headers["retry-after"]) == (503, "The model is still loading", "1")


def test_a_dead_deployment_is_covered_by_another(gateway: Gateway, stage: Stage) -> None:
    good = stage.add()
    routes = (Route("1", "stable", 50, (good.as_replica(),)), Route("2", "canary", 50, (NOBODY,)))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(routes=routes)
    gateway.publish()

    answers = [gateway.infer(endpoint, key) for _ in range(20)]

    assert {(answer.status, answer.headers["x-slipway-release"]) for answer in answers} == {(200, "stable")}


def test_replicas_that_all_refuse_make_a_503(gateway: Gateway) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(NOBODY, Replica("b", "127.0.0.1", free_port(), ""))
    gateway.publish()

    answer = gateway.infer(endpoint, key)

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.error.startswith("no replica can be reached")


def test_a_connection_that_ended_before_it_was_asked_anything_says_so(stage: Stage) -> None:
    """Whoever waited for its answer would wait for as long as the endpoint allows."""
    hasty = stage.add()
    hasty.is_killed = True

    async def ask_too_late() -> None:
        connection = await Backend(hasty.as_replica(), Limits()).connect()
        while not connection.is_lost:
            await asyncio.sleep(0.01)
        with pytest.raises(Unreachable):
            await connection.ask(b"GET /v2 HTTP/1.1\r\n\r\n")

    asyncio.run(asyncio.wait_for(ask_too_late(), 10))


def test_a_replica_that_hangs_up_at_once_is_no_fault_of_the_gateway(gateway: Gateway, stage: Stage) -> None:
    hasty = stage.add()
    hasty.is_killed = True
    key, endpoint = gateway.make_key(), gateway.make_endpoint(hasty.as_replica())
    gateway.publish()

    with ThreadPoolExecutor(20) as pool:
        answers = [call.result() for call in [pool.submit(gateway.infer, endpoint, key) for _ in range(400)]]

    assert {answer.status for answer in answers} <= {502, 503}


def test_an_endpoint_without_replicas_says_so(gateway: Gateway) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint()
    gateway.publish()

    answer = gateway.infer(endpoint, key)

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.error.startswith("no replica is ready")


@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", compose()[:-3]], ids=["nothing", "half a head", "half a body"]
)
def test_a_small_answer_that_breaks_off_is_asked_for_again(gateway: Gateway, stage: Stage, cut: bytes) -> None:
    bad, good = stage.add(break_off_after(cut)), stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(bad.as_replica(), good.as_replica())
    gateway.publish()

    answers = [gateway.infer(endpoint, key) for _ in range(4)]

    assert {(answer.status, answer.body) for answer in answers} == {(200, b'{"outputs": []}')}
    assert bad.asked


@pytest.mark.parametrize("framing", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
def test_a_large_answer_that_breaks_off_does_not_look_complete(gateway: Gateway, stage: Stage, framing: str) -> None:
    part = b"x" * 100_000 if "Length" in framing else b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    bad = stage.add(break_off_after(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + part))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(bad.as_replica())
    gateway.publish()

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        gateway.infer(endpoint, key)

    assert gateway.windows_of(endpoint, calls=1)[-1]["counts"] == {"5xx": 1}


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000,
    ],
    ids=["another protocol", "two lengths", "status 999", "an upgrade", "an endless head"],
)
def test_an_answer_that_is_no_http_is_a_bad_gateway(gateway: Gateway, stage: Stage, nonsense: bytes) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add(answer_with(nonsense)).as_replica())
    gateway.publish()

    assert gateway.infer(endpoint, key).status == 502


def test_two_answers_to_one_question_are_never_mixed_up(gateway: Gateway, stage: Stage) -> None:
    double = stage.add(answer_with(compose(200, b'{"n": 1}') + compose(200, b'{"stolen": true}')))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(double.as_replica())
    gateway.publish()

    assert {gateway.infer(endpoint, key).body for _ in range(5)} == {b'{"n": 1}'}


def test_an_interim_answer_is_not_the_answer(gateway: Gateway, stage: Stage) -> None:
    early = stage.add(answer_with(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + compose()))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(early.as_replica())
    gateway.publish()

    answers = [gateway.infer(endpoint, key) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b'{"outputs": []}')] * 2


def test_a_connection_that_the_replica_closed_meanwhile_is_replaced(gateway: Gateway, stage: Stage) -> None:
    async def answer_and_close(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_well(asked, reader, writer)
        await writer.drain()
        writer.close()

    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add(answer_and_close).as_replica())
    gateway.publish()

    assert [gateway.infer(endpoint, key).status for _ in range(10)] == [200] * 10


def test_a_model_that_takes_too_long_is_a_504(gateway: Gateway, stage: Stage) -> None:
    released = threading.Event()
    slow = stage.add(answer_after(released))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(slow.as_replica(), timeout_seconds=0.3)
    gateway.publish()

    began = time.monotonic()
    answer = gateway.infer(endpoint, key)

    assert answer.status == 504
    assert answer.error == "the model did not answer within 0.3 seconds"
    assert time.monotonic() - began < 3
    assert gateway.windows_of(endpoint, calls=1)[-1]["errors"] == {"timeout": 1}
    released.set()


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of packets that Linux has")
@pytest.mark.parametrize("has_heard", [False, True], ids=["before the call came", "while it computed"])
def test_a_machine_that_is_gone_without_a_goodbye_is_noticed(
    launch: "Callable[..., Gateway]", stage: Stage, has_heard: bool
) -> None:
    gateway, released = launch(silent_seconds=1.0), threading.Event()
    lost = stage.add(answer_after(released) if has_heard else answer_well)
    key, endpoint = gateway.make_key(), gateway.make_endpoint(lost.as_replica())
    gateway.publish()
    if not has_heard:
        assert gateway.infer(endpoint, key).status == 200
        stage.pull_the_cable(lost)

    with ThreadPoolExecutor(1) as pool:
        call, begun = pool.submit(gateway.infer, endpoint, key), time.monotonic()
        if has_heard:
            wait_until(lambda: lost.asked)
            stage.pull_the_cable(lost)
        assert call.result().status in (502, 503)  # the latter where it was asked again, and could not be reached
    assert time.monotonic() - begun < 8  # the endpoint itself allows a minute
    released.set()


def test_a_client_that_leaves_takes_its_call_along(gateway: Gateway, stage: Stage) -> None:
    left = threading.Event()

    async def wait_for_the_end(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        left.set()

    replica = stage.add(wait_for_the_end)
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
        client.sendall(f"GET /demo/{endpoint}/v2 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        wait_until(lambda: replica.asked)

    assert left.wait(5)
    window = gateway.windows_of(endpoint, calls=1)[-1]
    assert (window["counts"], window["errors"]) == ({"gone": 1}, {"client_gone": 1})


def test_a_client_that_leaves_in_the_middle_of_a_large_answer_ends_it(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add(answer_big(1 << 30, chunked=False))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    head = f"GET /demo/{endpoint}/v2 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n\r\n"
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
            client.sendall(head.encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        wait_until(lambda: not replica.open, seconds=5)


def test_a_body_that_does_not_come_is_a_408(launch: "Callable[..., Gateway]", stage: Stage) -> None:
    gateway = launch(body_idle_seconds=0.3)
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()
    head = f"POST /demo/{endpoint}{INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"

    answers = [gateway.exchange_raw(f"{head}Content-Length: {size}\r\n\r\n{{".encode()) for size in (10, 500_000)]

    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    assert sum(asked.size for asked in replica.asked) <= 1
