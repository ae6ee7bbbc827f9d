"""R9: each gateway is restarted in turn under load; behind anything that tries the other one, nobody notices."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.gateway.conftest import INFER, Gateway, start_gateway
from tests.gateway.replicas import Stage

CLIENTS = 10
HEAD = "POST /demo/{endpoint}" + INFER + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"


async def call(gateways: list[Gateway], request: bytes) -> tuple[int, int]:
    """The status of one call, and how often another gateway had to be tried, as any load balancer does."""
    for tried in range(200):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateways[tried % len(gateways)].port)
            writer.write(request)
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)
            continue
        return status, tried
    raise AssertionError("no gateway answered")


def test_gateways_are_restarted_in_turn_and_nobody_notices(
    launch: Callable[..., Gateway], stage: Stage, tmp_path: Path
) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    gateways = [launch(home=home) for home in homes]
    first, second = gateways
    key, endpoint = first.make_key(), first.make_endpoint(stage.add().as_replica())
    second.keys, second.endpoints = first.keys, first.endpoints
    for gateway in gateways:
        gateway.publish()
    head = HEAD.format(endpoint=endpoint, key=key)
    request = f"{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    answers, tries, is_over = Counter[int](), Counter[int](), asyncio.Event()

    async def client(order: list[Gateway]) -> None:
        while not is_over.is_set():
            status, tried = await call(order, request)
            answers[status] += 1
            tries[min(tried, 1)] += 1

    async def restart_each() -> None:
        for number, home in enumerate(homes):
            await asyncio.to_thread(gateways[number].stop, signal.SIGTERM)
            gateways[number].process = (again := await asyncio.to_thread(start_gateway, home)).process
            gateways[number].port = again.port
        is_over.set()

    async def everybody() -> None:
        turns = [gateways if number % 2 else gateways[::-1] for number in range(CLIENTS)]
        await asyncio.gather(restart_each(), *(client(turn) for turn in turns))

    asyncio.run(everybody())
    print(f"\n2 gateways restarted in turn under {sum(answers.values())} calls: {dict(answers)}, {tries[1]} went round")
    assert set(answers) == {200}
