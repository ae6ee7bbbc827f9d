"""A running gateway to talk to, and a stage of stand-in replicas behind it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from apps.core import keys
from apps.gateway.tables import Endpoint, Key, Replica, Route, Snapshot, make_snapshot, to_json
from tests.gateway.replicas import Stage, open_stage
from tests.gateway.serve import PEPPER, TOKEN

ROOT = Path(__file__).resolve().parents[2]
QUICK_LIMITS = {"refresh_seconds": 0.05, "window_seconds": 1, "eject_seconds": 0.5, "failures_per_minute": 1_000_000}
INFER = "/v2/models/digits/infer"

T = TypeVar("T")
_names = count(1)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass
class Gateway:
    """A gateway process of our own, and the "database" that it reads."""

    home: Path
    port: int
    process: "subprocess.Popen[bytes]"
    version: int = 0
    keys: dict[str, Key] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)

    # --- the database --------------------------------------------------------------------------------------------

    def make_key(self, project: str = "demo", *scopes: str, **fields: Any) -> str:
        """A key with ``invoke:*``, unless other scopes are given; not served before ``publish``."""
        minted = keys.mint()
        values = {"expires_at": time.time() + 3600, "rate_per_minute": 0, **fields}
        digest = keys.digest(PEPPER, minted.secret)
        self.keys[minted.key_id] = Key(minted.key_id, digest, project, frozenset(scopes or {"invoke:*"}), **values)
        return minted.text

    def revoke(self, key: str) -> None:
        parsed = keys.parse(key)
        assert parsed is not None
        del self.keys[parsed.key_id]

    def make_endpoint(self, *replicas: Replica, routes: tuple[Route, ...] = (), **fields: Any) -> str:
        """An endpoint of a new name with one deployment of these replicas; returns its name."""
        name = f"endpoint-{next(_names)}"
        routes = routes or (Route(f"deployment-of-{name}", "release-1", 100, replicas),)
        values = {"max_body": 1 << 20, "timeout_seconds": 10.0, "idempotent": True, **fields}
        self.endpoints["demo", name] = Endpoint("demo", name, "digits", routes=routes, **values)
        return name

    def publish(self) -> None:
        """Let the gateway have it, and wait until it does."""
        self.version += 1
        write_snapshot(self.home, make_snapshot(str(self.version), self.keys.values(), self.endpoints.values()))
        wait_until(lambda: self.get("/healthz").json["snapshot"] == str(self.version))

    # --- the outside ---------------------------------------------------------------------------------------------

    def get(self, path: str, key: str = "", **headers: str) -> Answer:
        return self.call("GET", path, key, **headers)

    def infer(self, endpoint: str, key: str, body: Any = b"{}", **headers: str) -> Answer:
        return self.call("POST", f"/demo/{endpoint}{INFER}", key, body, **headers)

    def call(self, method: str, path: str, key: str = "", body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if key:
                sent["Authorization"] = f"Bearer {key}"
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def exchange_raw(self, data: bytes, timeout: float = 2.0) -> bytes:
        """Send these bytes and return everything that comes back until the gateway closes, or has nothing to say."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(data)
            with contextlib.suppress(TimeoutError):
                while part := connection.recv(1 << 16):
                    received += part
        return received

    # --- the inside ----------------------------------------------------------------------------------------------

    def windows(self, after: int = 0) -> list[dict[str, Any]]:
        answer = self.get(f"/-/windows?after={after}", X_Slipway_Token=TOKEN)
        assert answer.status == 200
        windows: list[dict[str, Any]] = answer.json["windows"]
        return windows

    def windows_of(self, endpoint: str, calls: int) -> list[dict[str, Any]]:
        """The closed windows of one endpoint, once they hold that many calls."""

        def find() -> list[dict[str, Any]]:
            found = [window for window in self.windows() if window["endpoint"] == endpoint]
            return found if sum(sum(window["counts"].values()) for window in found) >= calls else []

        return wait_until(find)

    def metrics(self) -> dict[str, float]:
        lines = [line for line in self.get("/metrics").body.decode().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def event(self, name: str) -> float:
        return self.metrics().get(f'slipway_gateway_events_total{{event="{name}"}}', 0.0)

    def memory_peak(self) -> int:
        """The most bytes of memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(15)


def write_snapshot(home: Path, snapshot: Snapshot) -> None:
    draft = home / "draft.json"
    draft.write_bytes(to_json(snapshot))
    draft.replace(home / "source.json")


def start_gateway(home: Path, **limits: Any) -> Gateway:
    (home / "limits.json").write_text(json.dumps({**QUICK_LIMITS, **limits}))
    port = free_port()
    log = (home / "log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.serve", str(port), str(home)],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    log.close()
    gateway = Gateway(home, port, process)
    wait_until(lambda: gateway_listens(gateway))
    return gateway


def gateway_listens(gateway: Gateway) -> bool:
    assert gateway.process.poll() is None, (gateway.home / "log").read_text()
    with contextlib.suppress(OSError):
        return bool(gateway.get("/healthz").status)
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(find: Callable[[], T], seconds: float = 15.0) -> T:
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("gateway")
    write_snapshot(home, make_snapshot("0", [], []))
    gateway = start_gateway(home)
    yield gateway
    gateway.stop(signal.SIGKILL)


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """The one that all tests share; each makes its own keys and endpoints."""
    assert shared_gateway.process.poll() is None, (shared_gateway.home / "log").read_text()
    return shared_gateway


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway of one's own, with other limits; where it has a database, that is empty at first."""
    started: list[Gateway] = []

    def start(home: Path = tmp_path, has_database: bool = True, **limits: Any) -> Gateway:
        if has_database and not (home / "source.json").exists():
            write_snapshot(home, make_snapshot("0", [], []))
        started.append(start_gateway(home, **limits))
        return started[-1]

    yield start
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage
