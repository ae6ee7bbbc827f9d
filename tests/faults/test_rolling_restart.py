"""R9: each of two gateways is restarted in turn under load; who tries the other one when refused notices nothing."""

import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults import ROUNDS
from tests.faults.callers import Caller, Calls, calling, compose
from tests.gateway.conftest import INFER, Gateway, start_gateway
from tests.gateway.replicas import Stage

CALLERS = 24
TURNS = max(1, min(5, ROUNDS // 20))


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
    kept, own = Calls(), Calls()

    def make_caller(number: int) -> Caller:
        keeps, step = number % 4 < 2, 1 if number % 2 else -1
        request = compose("POST", f"/demo/{endpoint}{INFER}", key, keeps=keeps, body=b"{}")
        return Caller(lambda: [gateway.port for gateway in gateways[::step]], request, keeps, kept if keeps else own)

    with calling([make_caller(number) for number in range(CALLERS)]):
        for turn in range(2 * TURNS):
            gateway = gateways[turn % 2]
            assert gateway.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
            again = start_gateway(gateway.home)
            gateway.process, gateway.port = again.process, again.port
    print(f"\n2 gateways restarted {2 * TURNS} times: kept connections {kept}; one for each call {own}")
    assert set(kept.answers) == set(own.answers) == {200}
    assert kept.refused + own.refused > 0
