"""R9 on the real processes: each restarted in turn under load."""

import time
from collections.abc import Iterator

import pytest

from tests.controlplane.running import wait_until
from tests.faults import ROUNDS
from tests.faults.callers import Calls, calling
from tests.faults.production import BACK_SECONDS, PARTS, Production, end, open_production

pytestmark = pytest.mark.skipif(ROUNDS < 50, reason="the real processes take a minute: SLIPWAY_FAULT_ROUNDS=50")
DRAIN_SECONDS = 30.0


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with open_production(tmp_path_factory.mktemp("production")) as running:
        yield running


def test_every_process_is_restarted_in_turn_under_load_and_no_call_is_lost(production: Production) -> None:
    models, pages, seconds = Calls(), Calls(), {}
    with calling([*production.callers(models), production.page_caller(pages)]):
        for part in PARTS:
            seconds[part] = production.restart(part)
        seconds["second gateway"] = production.restart_second()
        name, pid = sorted(production.replicas().items())[0]
        seconds["replica"] = end(pid)
        wait_until(lambda: production.replicas().get(name, pid) != pid, BACK_SECONDS, what=f"{name} again")
        before = production.answer()
        begun = time.monotonic()
        live = production.release()
        seconds["redeploy"] = time.monotonic() - begun
        wait_until(lambda: production.answer() == live["factor"], BACK_SECONDS, what="the next release's answer")
        time.sleep(3)
    print(f"\neach process restarted in turn: models {models}; pages {pages}")
    print(", ".join(f"{part} {took:.1f} s" for part, took in seconds.items()))
    assert before != live["factor"]
    assert set(models.answers) == {200}
    assert set(pages.answers) == {200}
    assert max(took for part, took in seconds.items() if part != "redeploy") < DRAIN_SECONDS
