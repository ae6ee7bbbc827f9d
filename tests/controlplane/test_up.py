"""``up`` from the first start to Ctrl-C, on a data folder and ports of its own."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from controlplane.up.processes import find_marked
from tests.controlplane.running import Up, find_free_port, wait_until

BACK_SECONDS = 5  # one, and room for a machine that is busy with other tests

pytestmark = pytest.mark.xdist_group("up")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("up") / "with a space, 100 %"
    running = Up(home, web_port=find_free_port(), gateway_port=find_free_port())
    yield running
    if running.process.poll() is None:
        running.interrupt()
    for pid in find_marked(home):
        os.kill(pid, signal.SIGKILL)


def answers(port: int, path: str = "/healthz") -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()


def test_first_start_answers_and_prints_a_link_for_the_first_administrator(up: Up) -> None:
    up.wait_until_ready()
    assert answers(up.web_port)
    assert answers(up.gateway_port)
    up.wait_for("Ctrl-C stops everything", 5)
    link = re.search(r"first administrator at http://127.0.0.1:\d+(/\S+)", up.output)
    assert link is not None, up.output
    assert answers(up.web_port, link[1])


def test_second_start_on_the_same_data_folder_refuses_and_names_the_first(up: Up) -> None:
    second = Up(up.home, web_port=find_free_port(), gateway_port=find_free_port())
    assert second.finish() == 1
    assert f"already runs on {up.home} as process {up.process.pid}" in second.output
    assert "SLIPWAY_HOME" in second.output
    assert answers(up.web_port)


@pytest.mark.parametrize("part", ["web", "gateway", "worker"])
def test_killed_part_is_started_again(up: Up, part: str) -> None:
    killed = up.find_pid(part)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: up.find_pid(part) != killed, BACK_SECONDS, what=f"a new {part}")
    wait_until(lambda: answers(up.web_port) and answers(up.gateway_port), 60, what="answers")
    up.wait_for(f"{part:8} ended (SIGKILL)", 5)


def test_killed_supervisor_leaves_no_second_set_of_parts(up: Up) -> None:
    supervisor = int((up.home / "run" / "supervisor.pid").read_text())
    parts = {up.find_pid(part) for part in ("web", "gateway", "worker")}
    os.kill(supervisor, signal.SIGKILL)
    up.wait_for("everything is started again", 30)
    wait_until(lambda: not parts & set(find_marked(up.home)), 20, what="an end of the parts that were left alone")
    wait_until(lambda: answers(up.web_port) and answers(up.gateway_port), 90, what="answers")


def test_interrupt_ends_everything(up: Up) -> None:
    assert up.interrupt() == 0
    assert up.lines[-1] == "Stopped."
    assert find_marked(up.home) == []
    assert not answers(up.web_port)
    assert not answers(up.gateway_port)


def test_busy_port_is_refused_with_the_variable_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = Up(tmp_path / "home", web_port=find_free_port(), gateway_port=port)
        assert refused.finish() == 1
    assert f"port {port} is not free" in refused.output
    assert "SLIPWAY_GATEWAY_PORT" in refused.output


def test_setting_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    refused = Up(tmp_path / "home", web_port="eighty", gateway_port=1)  # type: ignore[arg-type]
    assert refused.finish() == 1
    assert len(refused.lines) == 1
    assert "eighty" in refused.output
