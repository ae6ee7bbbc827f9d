"""The gateway's own life: starting without a database, going on without it, stopping without losing anything."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.gateway.serving import let_nobody_in
from tests.gateway.conftest import INFER, ROOT, Gateway, free_port, gateway_listens, wait_until
from tests.gateway.replicas import Stage, answer_after

Launch = Callable[..., Gateway]


def test_it_serves_on_while_the_database_is_away_and_starts_without_it(
    launch: Launch, stage: Stage, tmp_path: Path
) -> None:
    gateway = launch()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    (tmp_path / "source.json").unlink()
    wait_until(lambda: gateway.metrics()["slipway_gateway_snapshot_failures"] > 3)
    assert gateway.infer(endpoint, key).status == 200
    assert gateway.get("/healthz").status == 200
    gateway.stop(signal.SIGKILL)

    again = launch(has_database=False)
    assert again.infer(endpoint, key).status == 200
    assert again.metrics()["slipway_gateway_snapshot_age_seconds"] == float("inf")


def test_what_is_kept_on_disk_is_for_its_owner_alone(launch: Launch, tmp_path: Path) -> None:
    gateway = launch()
    key = gateway.make_key()
    gateway.publish()
    kept = tmp_path / "gateway" / "snapshot.json"

    wait_until(lambda: kept.exists() and b'"version":"1"' in kept.read_bytes())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert key.rpartition("_")[2][:30] not in kept.read_text()


def test_without_any_snapshot_it_is_not_ready(launch: Launch) -> None:
    gateway = launch(has_database=False)

    answer = gateway.get("/healthz")

    assert answer.status == 503
    assert answer.error.startswith("there are no routes yet")


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": "1"}', b'{"version": "1", "keys": [{}], "endpoints": []}'])
def test_a_damaged_snapshot_on_disk_is_as_good_as_none(launch: Launch, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "snapshot.json").write_bytes(damage)

    assert launch(has_database=False).get("/healthz").status == 503


def test_a_stop_lets_calls_in_flight_come_to_their_end(launch: Launch, stage: Stage, tmp_path: Path) -> None:
    gateway = launch()
    released = threading.Event()
    slow = stage.add(answer_after(released))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(slow.as_replica())
    gateway.publish()

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(gateway.infer, endpoint, key)
        wait_until(lambda: slow.asked)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(gateway))
        released.set()
        assert call.result().status == 200
    assert gateway.process.wait(10) in (0, -signal.SIGTERM)

    again = launch()
    assert [window["counts"] for window in again.windows_of(endpoint, calls=1)][-1] == {"2xx": 1}


def test_idle_connections_do_not_hold_up_a_stop(launch: Launch) -> None:
    gateway = launch()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request("GET", "/healthz")
    connection.getresponse().read()

    gateway.stop()
    connection.close()


def test_a_stop_answers_a_call_that_is_on_its_way_on_a_kept_connection(launch: Launch, stage: Stage) -> None:
    gateway = launch()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    headers = []
    for number in range(2):
        if number:
            gateway.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not listens(gateway))
        connection.request("POST", f"/demo/{endpoint}{INFER}", b"{}", {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        headers.append(answer.getheader("connection"))

    assert headers == [None, "close"]
    assert gateway.process.wait(10) in (0, -signal.SIGTERM)


def test_a_stop_answers_those_whom_nobody_has_attended_to_yet(launch: Launch, stage: Stage) -> None:
    gateway = launch()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    gateway.process.send_signal(signal.SIGSTOP)

    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(gateway.infer, endpoint, key) for _ in range(20)]
        wait_until(lambda: queued(gateway) == 20)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.send_signal(signal.SIGCONT)
        assert [call.result().status for call in calls] == [200] * 20


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of packets that Linux has")
def test_who_knocks_at_a_listener_that_ends_is_refused_and_never_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        early = socket.create_connection(listener.getsockname())
        let_nobody_in(listener)
        late = pool.submit(socket.create_connection, listener.getsockname(), 10)
        time.sleep(0.2)
        server, _ = listener.accept()
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            late.result()
    with early, server:
        early.sendall(b"still here")
        assert server.recv(100) == b"still here"


def test_kept_connections_are_used_again_and_closed_once_idle(launch: Launch, stage: Stage) -> None:
    gateway = launch(pool_idle_seconds=0.4)
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    for _ in range(10):
        gateway.infer(endpoint, key)
    assert len(replica.open) == 1

    wait_until(lambda: not replica.open)


def test_a_replica_that_is_routed_away_from_finishes_what_it_began(gateway: Gateway, stage: Stage) -> None:
    released = threading.Event()
    old, new = stage.add(answer_after(released)), stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(old.as_replica())
    gateway.publish()

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(gateway.infer, endpoint, key)
        wait_until(lambda: old.asked)
        known = gateway.endpoints["demo", endpoint]
        name = gateway.make_endpoint(new.as_replica())
        moved = gateway.endpoints.pop(("demo", name))
        gateway.endpoints["demo", endpoint] = type(known)(
            "demo", endpoint, "digits", known.max_body, known.timeout_seconds, True, moved.routes
        )
        gateway.publish()
        assert gateway.infer(endpoint, key).status == 200
        released.set()
        assert call.result().status == 200
    assert (len(old.asked), len(new.asked)) == (1, 1)
    wait_until(lambda: not old.open)


def test_the_real_process_starts_on_an_empty_data_folder_and_stops_gently(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "SLIPWAY_HOME": str(tmp_path),
        "SLIPWAY_GATEWAY_PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.gateway"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    gateway = Gateway(tmp_path, port, process)
    wait_until(lambda: gateway_listens(gateway), seconds=30)

    assert gateway.get("/healthz").status == 503  # there are no tables yet
    assert gateway.get("/anything/else/v2").status == 401
    assert gateway.stop() in (0, -signal.SIGTERM)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_file_descriptors_do_not_pile_up(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()

    def count() -> int:
        return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

    gateway.infer(endpoint, key)
    before = count()
    for _ in range(50):
        gateway.infer(endpoint, key)

    wait_until(lambda: count() <= before + 2)


def queued(gateway: Gateway) -> int:
    """How many connections wait for the gateway to accept them: of a listener that is what Linux shows as received."""
    return sum(int(row[4].split(":")[1], 16) for row in listeners(gateway))


def listens(gateway: Gateway) -> bool:
    """Whether there is a listener; one that stops may keep who knocks waiting, so nobody knocks."""
    return bool(listeners(gateway))


def listeners(gateway: Gateway) -> list[list[str]]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[1].endswith(f":{gateway.port:04X}") and row[3] == "0A"]
