"""R8: one of two replicas dies under load; nobody who calls notices, where a call may be made again."""

import asyncio
import time
from collections import Counter

from tests.faults import ROUNDS
from tests.gateway.conftest import INFER, Gateway, wait_until
from tests.gateway.replicas import Stage

CALLS = 10_000 if ROUNDS >= 200 else 1_000
CLIENTS = 50


async def call_often(gateway: Gateway, endpoint: str, key: str, calls: list[int], answers: Counter[int]) -> None:
    """One client: one call after another on one connection, for as long as there are calls left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /demo/{endpoint}{INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    while calls:
        calls.pop()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.lower().split(": ", 1) for line in answer.decode().split("\r\n")[1:-2])
        await reader.readexactly(int(lines["content-length"]))
        answers[int(answer.split(b" ", 2)[1])] += 1
    writer.close()


def test_a_replica_that_dies_under_load_costs_nobody_a_call(gateway: Gateway, stage: Stage) -> None:
    first, second = stage.add(), stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(first.as_replica(), second.as_replica())
    gateway.publish()
    calls, answers, died_at = list(range(CALLS)), Counter[int](), [0.0]

    async def kill_on_the_way() -> None:
        while len(calls) > CALLS // 2:
            await asyncio.sleep(0.001)
        stage.kill(first)
        died_at[0] = time.monotonic()

    async def everybody() -> None:
        clients = (call_often(gateway, endpoint, key, calls, answers) for _ in range(CLIENTS))
        await asyncio.gather(kill_on_the_way(), *clients)

    asyncio.run(everybody())
    before = len(first.asked)
    print(f"\n{CALLS} calls of {CLIENTS} clients, one of two replicas killed half way: {dict(answers)}")
    assert answers == {200: CALLS}
    again = stage.add(port=first.port)
    since = time.monotonic()
    wait_until(lambda: gateway.infer(endpoint, key).status == 200 and again.asked, seconds=10)
    print(f"it answers calls again {time.monotonic() - since:.1f} s after it came back; {before} before it died")
