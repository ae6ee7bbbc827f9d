"""R3, R9 on the real processes: each restarted in turn under load, and the database gone for a while."""

import time
from collections.abc import Iterator

import pytest

from tests.controlplane.running import wait_until
from tests.faults import ROUNDS
from tests.faults.callers import Calls, calling
from tests.faults.production import BACK_SECONDS, PARTS, ROWS, Production, end, open_production
from tests.journeys.calls import call

pytestmark = pytest.mark.skipif(ROUNDS < 50, reason="the real processes take a minute: SLIPWAY_FAULT_ROUNDS=50")
DRAIN_SECONDS = 30.0
AWAY_SECONDS = 30.0 if ROUNDS >= 200 else 8.0
REFUSE_SECONDS = 2.0


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


def test_models_answer_while_the_database_is_away_and_nothing_is_doubled_by_its_return(production: Production) -> None:
    models = Calls()
    web = f"http://127.0.0.1:{production.up.web_port}"
    parts = {part: production.up.find_pid(part) for part in PARTS}
    before, replicas = production.rows(), production.replicas()
    with calling(production.callers(models)):
        production.database.stop()
        try:
            refusals = {path: refuse(web + path, production.key) for path in ("/healthz", ROWS)}
            time.sleep(AWAY_SECONDS)
        finally:
            production.database.start()
        since = time.monotonic()
        wait_until(lambda: call(web + ROWS, key=production.key).status == 200, BACK_SECONDS, what="the API")
        back = time.monotonic() - since
        live = production.release()
        wait_until(lambda: production.answer() == live["factor"], BACK_SECONDS, what="the next release's answer")
        wait_until(lambda: len(production.replicas()) == len(replicas), BACK_SECONDS, what="only two replicas")
    print(f"\nwithout a database for {AWAY_SECONDS:.0f} s: models {models}; the API again after {back:.1f} s")
    print(", ".join(f"{path} said {status} within {took:.1f} s" for path, (status, took) in refusals.items()))
    assert set(models.answers) == {200}
    assert all(status == 503 and took < REFUSE_SECONDS for status, took in refusals.values())
    assert {part: production.up.find_pid(part) for part in PARTS} == parts, "none of them died of it"
    after = {row["id"]: row for row in production.rows()}
    assert len(after) == len(before) + 1
    assert [after[row["id"]]["release"] for row in before] == [row["release"] for row in before]


def refuse(url: str, key: str) -> tuple[int, float]:
    """The status, and the seconds until it came."""
    begun = time.monotonic()
    return call(url, key=key).status, time.monotonic() - begun
