"""Replicas on this machine, with the real runtime: they serve behind the wall, outlive the worker, and end in words."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.promises.beds import ProcessBed, wait_for
from worker import sandbox
from worker.builders.bundles import digest_of
from worker.drivers import health, machine
from worker.drivers.health import is_ready
from worker.drivers.records import Folder
from worker.errors import ToolError
from worker.specs import ReplicaSpec, ReplicaStatus

NAME = "slipway-1-1-0"
SECRET = "the secret of this replica"
SUBJECT = "sha256:subject"
REQUEST = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3.0, 4.0]}]}


@pytest.fixture
def bed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ProcessBed]:
    bed = ProcessBed(tmp_path, request.getfixturevalue)
    yield bed
    bed.close()


def start_ready(bed: ProcessBed, spec: ReplicaSpec | None = None) -> ReplicaStatus:
    status = bed.driver.start(spec or bed.make())
    wait_for(lambda: is_ready(status.address, SECRET, SUBJECT))
    return status


def infer(address: str, model: str = "double") -> list[float]:
    url = f"http://{address}/v2/models/{model}/infer"
    headers = {"Content-Type": "application/json", "X-Slipway-Secret": SECRET}
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(REQUEST).encode(), headers), timeout=10
    ) as answer:
        data: list[float] = json.load(answer)["outputs"][0]["data"]
    return data


def use_stand_in(spec: ReplicaSpec, code: str) -> ReplicaSpec:
    """The same replica with a program of ours in place of the runtime, for ends a healthy server never comes to."""
    from_bundle = Path(spec.location, "slipway_runtime", "__main__.py")
    from_bundle.unlink()
    from_bundle.write_text(code)
    return replace(spec, digest=digest_of(Path(spec.location)))


@pytest.mark.parametrize("kind", ["bubblewrap", "namespaces", "landlock", "none"])
def test_it_serves_behind_every_wall(bed: ProcessBed, kind: str) -> None:
    walls = {wall.kind: wall for wall in (*sandbox.available(), sandbox.UNWALLED)}
    if kind not in walls:
        pytest.skip(f"this machine has no {kind}")
    bed.driver.wall = walls[kind]  # type: ignore[attr-defined]
    assert infer(start_ready(bed).address) == [6.0, 8.0]


def test_only_the_gateways_secret_opens_it(bed: ProcessBed) -> None:
    status = start_ready(bed)
    assert not is_ready(status.address, "another secret", SUBJECT)


def test_one_that_says_nothing_is_told_from_one_that_is_gone(bed: ProcessBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.3)
    status = start_ready(bed)
    running = machine.chain(Folder(bed.home, status.name).pids()[0])  # type: ignore[index]
    os.kill(running[-1], signal.SIGSTOP)
    assert is_ready(status.address, SECRET, SUBJECT) is None
    os.kill(running[-1], signal.SIGKILL)
    wait_for(lambda: is_ready(status.address, SECRET, SUBJECT) is False)


def test_the_secret_lies_in_a_file_for_its_owner_alone(bed: ProcessBed) -> None:
    status = bed.driver.start(bed.make())
    folder = Folder(bed.home, status.name)
    assert folder.secret.stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700
    running = machine.chain(folder.pids()[0])  # type: ignore[index]
    assert not [pid for pid in running if SECRET in Path(f"/proc/{pid}/cmdline").read_text()]


def test_it_outlives_the_worker_that_started_it(bed: ProcessBed) -> None:
    spec = bed.make()
    code = (
        "import os, signal, sys; from pathlib import Path; from worker.specs import ReplicaSpec\n"
        "from worker.drivers.process import ProcessDriver\n"
        f"driver = ProcessDriver(Path({str(bed.home)!r})); driver.start(eval(sys.stdin.read()))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    words = f"ReplicaSpec({spec.name!r}, {spec.labels!r}, {spec.location!r}, {spec.environment!r}, {spec.digest!r},"
    words += f" {spec.secret!r})"
    done = subprocess.run([sys.executable, "-c", code], input=words, text=True, cwd=Path.cwd(), check=False)
    assert done.returncode == -signal.SIGKILL
    status = bed.driver.status(NAME)
    wait_for(lambda: is_ready(status.address, SECRET, SUBJECT))
    assert infer(status.address) == [6.0, 8.0]


def test_a_request_in_flight_is_answered_before_it_stops(bed: ProcessBed) -> None:
    spec = use_stand_in(bed.make(), SLOW_SERVER)
    status = bed.driver.start(spec)
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(_get(status.address)))
    client.start()
    wait_for(lambda: "asked" in bed.driver.logs(NAME))
    bed.driver.stop(NAME, 5)
    client.join()
    assert answers == [b"finished"]


SLOW_SERVER = """
import signal, socket
server = socket.socket(fileno=3)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
client, _ = server.accept()
client.recv(1000)
print("asked", flush=True)
signal.sigwait([signal.SIGTERM])
client.sendall(b"finished")
"""


def _get(address: str) -> bytes:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"question")
        return client.makefile("rb").read()


def test_what_does_not_want_to_stop_is_ended_all_the_same(bed: ProcessBed) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\n"
    bed.driver.start(use_stand_in(bed.make(), stubborn + "while True: signal.pause()"))
    wait_for(lambda: bed.driver.logs(NAME) == ["here"])
    pid = machine.last_descendant(Folder(bed.home, NAME).pids()[1])  # type: ignore[index]
    bed.driver.stop(NAME, 0.2)
    assert bed.driver.status(NAME).state == "gone"
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 5)


@pytest.mark.parametrize(
    ("code", "kind", "log"),
    [
        ("raise ValueError('no such column')", "crashed", "ValueError: no such column"),
        ("import sys; sys.exit(3)", "crashed", ""),
        ("import ctypes; ctypes.string_at(0)", "crashed", ""),
        ("import sys; print('slipway-runtime: cannot start: bad model', file=sys.stderr); sys.exit(78)",
         "refused_model", "slipway-runtime: cannot start: bad model"),
        ("import json; print(json.dumps({'level': 'error', 'reason': 'broken'})); raise SystemExit(1)",
         "crashed", "broken"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", ""),
        ("import signal; blocks = [b'x' * (10 << 20) for _ in range(60)]; signal.pause()", "out_of_memory", ""),
        ("bytearray(8 << 30)", "out_of_memory", "MemoryError"),
        ("pass", "stopped", ""),
    ],
)  # fmt: skip
def test_the_end_has_a_kind_a_reason_and_the_line_that_shows_it(
    bed: ProcessBed, code: str, kind: str, log: str
) -> None:
    spec = replace(use_stand_in(bed.make(), code), memory_bytes=256 << 20)
    bed.driver.start(spec)
    status = bed.until(NAME, "exited")
    assert (status.kind, status.log) == (kind, log)
    assert str(status.reason).endswith(".")


def test_a_bundle_that_cannot_be_served_is_refused_by_the_real_runtime(bed: ProcessBed) -> None:
    spec = bed.make()
    manifest = Path(spec.location, "slipway.json")
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('"format": "onnx"', '"format": "abacus"'))
    bed.driver.start(replace(spec, digest=digest_of(manifest.parent)))
    status = bed.until(NAME, "exited")
    assert (status.kind, status.exit_code) == ("refused_model", 78)
    assert "abacus" in status.log


def test_an_environment_that_is_gone_is_said_to_be_the_reason(bed: ProcessBed) -> None:
    bed.driver.start(replace(bed.make(), environment=str(bed.home / "removed")))
    status = bed.until(NAME, "exited")
    assert status.kind == "start_failed"
    assert "No such file" in status.log


def test_a_killed_supervisor_takes_its_replica_along(bed: ProcessBed) -> None:
    bed.driver.start(bed.make())
    supervisor, child = Folder(bed.home, NAME).pids()  # type: ignore[misc]
    program = machine.last_descendant(child)
    os.kill(supervisor, signal.SIGKILL)
    status = bed.until(NAME, "exited")
    assert status.kind == "killed"
    wait_for(lambda: not Path(f"/proc/{program}").exists())


def test_a_start_that_was_cut_off_counts_as_nothing_running(bed: ProcessBed) -> None:
    folder = Folder(bed.home, NAME)
    folder.path.mkdir(parents=True)
    assert bed.driver.status(NAME).state == "gone"
    assert bed.driver.start(bed.make()).state == "running"


def test_what_the_machine_refuses_is_said_in_words(bed: ProcessBed) -> None:
    spec = bed.make()
    (bed.home / "replicas").write_text("a file where a folder should be")
    with pytest.raises(ToolError, match="This machine refused") as caught:
        bed.driver.start(spec)
    assert (caught.value.kind, caught.value.permanent) == ("machine", False)
    (bed.home / "replicas").unlink()


def test_many_starts_at_once_make_one_replica(bed: ProcessBed) -> None:
    spec, found = bed.make(), []
    threads = [threading.Thread(target=lambda: found.append(bed.open().start(spec))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({status.address for status in found}) == 1


def test_it_sees_neither_the_home_of_the_driver_nor_other_replicas(bed: ProcessBed) -> None:
    bed.driver.start(bed.make("slipway-other"))
    (bed.home / "secret.key").write_text("the secret key")
    spec = use_stand_in(bed.make(), LOOK_AROUND.format(home=str(bed.home)))
    bed.driver.start(spec)
    bed.until(NAME, "exited")
    assert json.loads(bed.driver.logs(NAME)[-1]) == {"slipway-other": False, "key": False, "replica.json": False}


LOOK_AROUND = """
import json
from pathlib import Path
def readable(path):
    try:
        return bool(list(path.iterdir()) if path.is_dir() else path.read_bytes())
    except OSError:
        return False
home = Path({home!r})
print(json.dumps({{"slipway-other": readable(home / "replicas" / "slipway-other"), "key": readable(home / "secret.key"),
    "replica.json": readable(home / "replicas" / "slipway-1-1-0" / "replica.json")}}))
"""


def test_resources_are_those_of_the_program_itself(bed: ProcessBed) -> None:
    code = "import signal\nblock = b'x' * (150 << 20)\nprint('full', flush=True)\nsignal.pause()"
    bed.driver.start(use_stand_in(bed.make(), code))
    wait_for(lambda: bed.driver.logs(NAME) == ["full"])
    stats = bed.driver.stats(NAME)
    assert stats
    assert 150 << 20 < stats.memory_bytes < 250 << 20
    assert 0 < stats.cpu_seconds < 5


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "A", "-a", "a" * 200, "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(bed: ProcessBed, name: str) -> None:
    with pytest.raises(ToolError, match="cannot be the name") as caught:
        bed.driver.status(name)
    assert caught.value.permanent
