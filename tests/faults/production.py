"""The real processes on PostgreSQL and Redis, as production has them: web, two gateways, worker, clock, replicas."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from controlplane.up.processes import MARK, find_marked
from tests.controlplane.running import ROOT, Up, find_free_port, wait_until
from tests.engines import brokers
from tests.engines.databases import Cluster, cluster
from tests.faults.callers import Caller, Calls, compose
from tests.journeys.calls import Answer, call

PARTS = ("web", "gateway", "worker", "clock")
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
INFER = "/demo/double/v2/models/double/infer"
ROWS = "/api/v1/projects/demo/deployments/"
BACK_SECONDS = 60.0


@dataclass
class Production:
    """Everything that runs, and the people on it (``scene``)."""

    up: Up
    database: Cluster
    around: dict[str, str]
    scene: "subprocess.Popen[str]"
    second_port: int
    second: "subprocess.Popen[bytes] | None" = None
    key: str = ""

    @property
    def gateways(self) -> list[int]:
        return [self.up.gateway_port, self.second_port]

    def read_live(self) -> dict[str, Any]:
        """What the scene says of the release that has just become live."""
        assert self.scene.stdout is not None
        line = self.scene.stdout.readline()
        assert line, self.up.output
        live: dict[str, Any] = json.loads(line)
        self.key = live["key"]
        return live

    def release(self) -> dict[str, Any]:
        """One more release, which takes the traffic over."""
        assert self.scene.stdin is not None
        self.scene.stdin.write("another\n")
        self.scene.stdin.flush()
        return self.read_live()

    def wait_until_routed(self) -> None:
        """Until each gateway has heard of what is live: it loads its routes once a second."""
        for port in self.gateways:
            wait_until(partial(self.is_routed, port), BACK_SECONDS, what=f"an answer by the gateway on {port}")

    def is_routed(self, port: int) -> bool:
        return self.infer(port).status == 200

    def infer(self, port: int) -> Answer:
        return call(f"http://127.0.0.1:{port}{INFER}", key=self.key, body=BODY)

    def answer(self) -> float:
        """What the model makes of the first number, by whichever gateway answers."""
        done = self.infer(self.second_port)
        assert done.status == 200, done.content
        return float(done.json["outputs"][0]["data"][0])

    def rows(self) -> list[dict[str, Any]]:
        """All deployments, as the API has them."""
        rows: list[dict[str, Any]] = call(f"http://127.0.0.1:{self.up.web_port}{ROWS}", key=self.key).json["results"]
        return rows

    def replicas(self) -> dict[str, int]:
        """The process id of each model server, by the replica's name."""
        return {file.parent.name: int(file.read_text().split()[1]) for file in self.up.home.glob("replicas/*/pid")}

    def start_second(self) -> None:
        """The second gateway, until it answers."""
        command = [sys.executable, "-m", "controlplane.gateway"]
        around = {**self.around, "SLIPWAY_GATEWAY_PORT": str(self.second_port)}
        with (self.up.home / "logs" / "second.log").open("ab") as log:
            self.second = subprocess.Popen(command, cwd=ROOT, env=around, stdout=log, stderr=log)
        wait_until(lambda: is_up(self.second_port), BACK_SECONDS, what="the second gateway")

    def restart(self, part: str) -> float:
        """SIGTERM, until another process has taken its place and is ready; the seconds that its end took."""
        pid = self.up.find_pid(part)
        seconds = end(pid)
        wait_until(lambda: self.up.find_pid(part) != pid, BACK_SECONDS, what=f"another {part}")
        port = {"web": self.up.web_port, "gateway": self.up.gateway_port}.get(part)
        if port:
            wait_until(lambda: is_up(port), BACK_SECONDS, what=part)
        return seconds

    def restart_second(self) -> float:
        assert self.second is not None
        begun = time.monotonic()
        self.second.terminate()
        self.second.wait(BACK_SECONDS)
        seconds = time.monotonic() - begun
        self.start_second()
        return seconds

    def callers(self, calls: Calls, count: int = 10) -> list[Caller]:
        """Of the model: half of them by each gateway, and half on kept connections."""
        body = json.dumps(BODY).encode()
        made = []
        for number in range(count):
            keeps = number % 4 < 2
            order = self.gateways if number % 2 else self.gateways[::-1]
            made.append(Caller(order.copy, compose("POST", INFER, self.key, keeps=keeps, body=body), keeps, calls))
        return made

    def page_caller(self, calls: Calls) -> Caller:
        """Of the API, which one process serves."""
        return Caller(lambda: [self.up.web_port], compose("GET", ROWS, self.key, keeps=False), False, calls)


def end(pid: int) -> float:
    """Send SIGTERM; the seconds until the process is gone."""
    begun = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), BACK_SECONDS, what=f"the end of process {pid}")
    return time.monotonic() - begun


def is_up(port: int) -> bool:
    with contextlib.suppress(OSError):
        return call(f"http://127.0.0.1:{port}/healthz").status == 200
    return False


@contextlib.contextmanager
def open_production(folder: Path) -> Iterator[Production]:
    """All of it, with a model that answers; at the end no process is left."""
    home = folder / "home"
    with cluster() as database, brokers.serve(brokers.Redis) as broker:
        settings = {
            "SLIPWAY_DATABASE_URL": database.create_with_tables("production"),
            "SLIPWAY_BROKER_URL": broker.url,
        }
        up = Up(home, web_port=find_free_port(), gateway_port=find_free_port(), settings=settings)
        around = {**os.environ, **settings, "SLIPWAY_HOME": str(home), MARK: str(home)}
        around |= {"SLIPWAY_WEB_PORT": str(up.web_port), "SLIPWAY_GATEWAY_PORT": str(up.gateway_port)}
        around["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
        running = None
        try:
            up.wait_until_ready()
            pipe = subprocess.PIPE
            scene = [sys.executable, "-m", "tests.faults.scene"]
            people = subprocess.Popen(scene, cwd=ROOT, env=around, stdin=pipe, stdout=pipe, text=True)
            running = Production(up, database, around, people, find_free_port())
            running.read_live()
            running.start_second()
            running.wait_until_routed()
            yield running
        finally:
            if running is not None:
                running.scene.communicate()
                if running.second is not None:
                    running.second.kill()
                    running.second.wait()
            up.interrupt()
            for pid in find_marked(home):
                os.kill(pid, signal.SIGKILL)
