"""What stories share: the cast, and a queue that collects jobs instead of ringing for them."""

from pathlib import Path

import pytest

from apps.core import jobs
from tests import engines
from tests.cast import Cast, gather
from tests.engines.daemons import docker_hosts
from tests.engines.hosts.ground import docker_ground
from tests.engines.ssh_doors import ssh_doors
from tests.engines.swarm.ground import swarm_ground

__all__ = ["docker_ground", "docker_hosts", "ssh_doors", "swarm_ground"]


HERE = Path(__file__).parent
LONG = ("engines", "faults", "promises")
PARTS = ("faults", "stores", "compose", "journeys", "hosts", "swarm")  # each has servers of its own; the longest first


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes engines and minutes for where they are asked for.

    With ``--dist loadgroup`` what shares servers is in one process, so that each of them is started once.
    """
    are_asked_for = engines.are_asked_for()
    words = f"takes minutes and engines of its own: SLIPWAY_REQUIRE={','.join(sorted(engines.ASKED_FOR))} asks for it"
    order = {}
    for item in items:
        room = item.path.relative_to(HERE).parts[0]
        if room in LONG and are_asked_for:
            part = part_of(item)
            item.add_marker(pytest.mark.xdist_group(part))
            order[item] = PARTS.index(part)
        elif room in LONG and room != "promises":
            item.add_marker(pytest.mark.skip(reason=words))
    items.sort(key=lambda item: order.get(item, len(PARTS)))


def part_of(item: pytest.Item) -> str:
    """What breaks workers needs no Docker host; of the rest, those who share the same ones, and are about as long."""
    room, name = item.path.relative_to(HERE).parts[:2]
    if name in ("compose", "stores"):
        return name
    if room == "faults" and name != "test_docker_hosts.py":
        return "faults"
    if "swarm" in item.nodeid:
        return "swarm"
    return "journeys" if name in ("journeys", "image") else "hosts"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that tests on engines and of faults print, in whichever process they ran."""
    told = [report for report in terminalreporter.getreports("passed") if report.capstdout.strip()]
    told = [report for report in told if report.nodeid.startswith(("tests/engines", "tests/faults"))]
    if told:
        terminalreporter.section("figures")
    for report in told:
        terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {report.capstdout.strip()}")


@pytest.fixture
def cast(db: None) -> Cast:
    return gather()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[jobs.Job, int]]:
    """The jobs that committed writes asked for, as ``(job, id)``; nothing is rung."""
    asked: list[tuple[jobs.Job, int]] = []
    monkeypatch.setattr(jobs, "ring", lambda job, pk: asked.append((job, pk)))
    return asked
