"""``up --demo`` from an empty data folder to traffic on real models, a second start, and Ctrl-C."""

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controlplane.up.processes import find_marked
from tests.controlplane.running import Up, find_free_port
from tests.journeys.calls import call, wait_until

LIVE_SECONDS = 600  # about one minute on an idle machine; this only ends what hangs
COUNTED_SECONDS = 90

pytestmark = pytest.mark.xdist_group("journeys")  # as heavy as they are: never beside them


class Demo:
    """The demonstration on a data folder and ports of its own, started as often as a test wants."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = {"web_port": find_free_port(), "gateway_port": find_free_port()}
        self.start()

    def start(self) -> None:
        self.up = Up(self.home, "--demo", **self.ports)

    def wait_until_live(self) -> None:
        self.up.wait_for("the demonstration is live", LIVE_SECONDS)

    @property
    def card(self) -> Path:
        return self.home / "demo.json"

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads(self.card.read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo") / "home"
    running = Demo(home)
    yield running
    if running.up.process.poll() is None:
        running.up.interrupt()
    for pid in find_marked(home):
        os.kill(pid, signal.SIGKILL)


def share_right(demo: Demo) -> float:
    """How many of the held-out digits the endpoint reads right, with the card's key."""
    facts = demo.facts
    place = facts["endpoints"]["digits"]
    known = json.loads((demo.home / "demo" / "digits.json").read_text())
    tensor = {"name": "input", "datatype": "FP32", "shape": [len(known["rows"]), 64], "data": known["rows"]}
    url = f"{place['url']}/v2/models/{place['model']}/infer"
    answer = call(url, key=facts["keys"]["invoke"], body={"inputs": [tensor]})
    assert answer.status == 200, answer.content
    labels = next(output["data"] for output in answer.json["outputs"] if output["name"] == "label")
    return float(np.mean(np.asarray(labels) == known["labels"]))


def count_requests(demo: Demo) -> int:
    """Requests of the last hour, as the windows have them."""
    url = f"{demo.facts['web']}/api/v1/projects/demo/metrics/?endpoint=digits&step=60"
    answer = call(url, key=demo.facts["keys"]["ci"])
    assert answer.status == 200, answer.content
    return sum(step["requests"] for series in answer.json["endpoints"] for step in series["steps"])


def test_first_start_leaves_a_card_that_only_its_owner_reads(demo: Demo) -> None:
    demo.wait_until_live()
    assert stat.S_IMODE(demo.card.stat().st_mode) == 0o600
    facts = demo.facts
    assert set(facts) == {"web", "gateway", "project", "users", "keys", "endpoints"}
    assert {name: person["role"] for name, person in facts["users"].items()} == {
        "dana": "data_scientist",
        "rhea": "reviewer",
        "omar": "operator",
        "ada": "administrator",
    }
    assert (facts["keys"]["invoke"][:9], facts["keys"]["ci"][:7]) == ("slw_live_", "slw_ci_")
    assert facts["endpoints"]["digits"] == {"model": "digits", "url": f"{facts['gateway']}/demo/digits"}
    assert facts["web"].endswith(str(demo.ports["web_port"]))


def test_held_out_digits_are_read_right_and_counted(demo: Demo) -> None:
    assert share_right(demo) >= 0.95
    wait_until(lambda: count_requests(demo) > 0, COUNTED_SECONDS, what="windows with requests")


def test_second_start_serves_again_with_the_same_card(demo: Demo) -> None:
    card = demo.card.read_text()
    assert demo.up.interrupt() == 0, demo.up.output
    assert find_marked(demo.home) == []
    demo.start()
    demo.wait_until_live()
    assert demo.card.read_text() == card
    assert share_right(demo) >= 0.95


def test_interrupt_leaves_nothing(demo: Demo) -> None:
    replicas = [int(pid.read_text().split()[1]) for pid in demo.home.glob("replicas/*/pid")]
    assert replicas
    assert demo.up.interrupt() == 0, demo.up.output
    assert demo.up.lines[-1] == "Stopped."
    assert find_marked(demo.home) == []
    assert [pid for pid in replicas if Path(f"/proc/{pid}").exists()] == []
