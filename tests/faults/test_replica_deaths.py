"""R8: one of two replicas dies under load; nobody who calls notices, where a call may be made again."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults import ROUNDS
from tests.faults.replica import ReplicaProcess
from tests.gateway.conftest import INFER, Gateway, wait_until

GATEWAYS, CALLERS = (3, 9000) if ROUNDS >= 200 else (1, 400)  # a gateway takes 4,096 calls at once
EACH = 2
OF_A_KEY = 200  # at once
A_SECOND = 2000  # new callers: a listener's queue takes so many and no more
PATIENCE_SECONDS = 60


@dataclass
class Door:
    """One of the gateways, as its callers know it."""

    gateway: Gateway
    endpoint: str
    keys: list[str]

    @property
    def ejections(self) -> float:
        return self.gateway.event("ejections")


@dataclass
class Crowd:
    """Callers on a connection each, one call after the other, and what came of each call by its request id."""

    doors: list[Door]
    answers: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    async def call(self, number: int) -> None:
        await asyncio.sleep(number / A_SECOND)
        turn_of_door, door = divmod(number, len(self.doors))
        endpoint, key = self.doors[door].endpoint, self.doors[door].keys[turn_of_door // OF_A_KEY]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.doors[door].gateway.port)
        head = f"POST /demo/{endpoint}{INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"
        for turn in range(EACH):
            name = f"caller-{number}-{turn}"
            writer.write(f"{head}X-Request-Id: {name}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            self.waiting += 1
            answer = await reader.readuntil(b"\r\n\r\n")
            self.waiting -= 1
            lines = dict(line.lower().split(": ", 1) for line in answer.decode().split("\r\n")[1:-2])
            await reader.readexactly(int(lines["content-length"]))
            self.answers[name] = int(answer.split(b" ", 2)[1])
        writer.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ReplicaProcess]]:
    with ExitStack() as opened:

        def start_one(port: int = 0) -> ReplicaProcess:
            replica = ReplicaProcess.start(tmp_path / f"notes-{time.monotonic_ns()}", port)
            opened.callback(replica.kill)
            return replica

        yield start_one


@pytest.fixture
def open_doors(launch: Callable[..., Gateway], tmp_path: Path) -> Callable[..., list[Door]]:
    def open_one(number: int, *replicas: ReplicaProcess, may_repeat: bool) -> Door:
        home = tmp_path / f"gateway-{number}"
        home.mkdir()
        gateway = launch(home, connect_seconds=60.0, in_flight_per_key=OF_A_KEY)  # a busy machine is not what is tried
        keys = [gateway.make_key() for _ in range(CALLERS // GATEWAYS // OF_A_KEY)]
        behind = [replica.as_replica() for replica in replicas]
        endpoint = gateway.make_endpoint(*behind, idempotent=may_repeat, timeout_seconds=120.0)
        gateway.publish()
        return Door(gateway, endpoint, keys)

    return lambda *replicas, **wish: [open_one(number, *replicas, **wish) for number in range(GATEWAYS)]


@pytest.mark.parametrize("may_repeat", [True, False], ids=["may be repeated", "may not"])
def test_a_replica_that_dies_under_load_costs_nobody_a_call(
    open_doors: Callable[..., list[Door]], start: Callable[..., ReplicaProcess], may_repeat: bool
) -> None:
    allow_many_connections()
    first, second = start(), start()
    doors = open_doors(first, second, may_repeat=may_repeat)
    crowd = Crowd(doors)
    left_out = asyncio.run(call_while_one_dies(crowd, first, second))
    back = wait_until_called_again(doors, start(first.port))
    counts = Counter(crowd.answers.values())
    print(f"\n{CALLERS * EACH} calls, {CALLERS} at once, one of two replicas killed: {dict(counts)}")
    print(f"left out {left_out:.1f} s after its death, called again {back:.1f} s after its return")

    lost = {name for name, status in crowd.answers.items() if status != 200}
    asked = first.asked() + second.asked()
    assert len(crowd.answers) == CALLERS * EACH
    if may_repeat:
        assert not lost
    else:
        assert first.asked().keys() <= lost
        assert not lost & second.asked().keys(), "nothing else but what was on its way to the one that died"
        assert len(lost) < CALLERS
        assert max(asked[name] for name in crowd.answers) == 1, "nothing is done twice"


async def call_while_one_dies(crowd: Crowd, dying: ReplicaProcess, other: ReplicaProcess) -> float:
    """The seconds from the death, once everybody waits for an answer, until every gateway leaves the replica out."""

    async def break_it() -> float:
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            while crowd.waiting < CALLERS or (dying.asked() + other.asked()).total() < CALLERS:
                await asyncio.sleep(0.1)
        seconds = await asyncio.to_thread(kill_until_left_out, crowd.doors, dying)
        other.release()
        return seconds

    seconds, *_calls = await asyncio.gather(break_it(), *(crowd.call(number) for number in range(CALLERS)))
    return float(seconds)


def kill_until_left_out(doors: list[Door], replica: ReplicaProcess) -> float:
    before = [door.ejections for door in doors]
    replica.kill()
    since = time.monotonic()
    wait_until(lambda: all(door.ejections > n for door, n in zip(doors, before, strict=True)), PATIENCE_SECONDS)
    return time.monotonic() - since


def wait_until_called_again(doors: list[Door], replica: ReplicaProcess) -> float:
    """The seconds until each gateway has sent a call to a replica that is back, and had its answer."""
    replica.release()
    since = time.monotonic()
    for door in doors:
        seen = replica.asked().total()
        while replica.asked().total() == seen:
            assert time.monotonic() < since + PATIENCE_SECONDS, "it was not called again in time"
            assert door.gateway.infer(door.endpoint, door.keys[0]).status == 200
    return time.monotonic() - since


def allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
