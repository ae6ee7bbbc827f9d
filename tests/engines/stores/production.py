"""The product's processes as production runs them: settings with a broker in this process, a worker beside it."""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from celery import Celery

from controlplane.celery import app as usual
from tests.engines.databases import ROOT

WORKER = "celery --app controlplane worker --pool threads --concurrency 2 --loglevel INFO --without-mingle"
START_SECONDS = 60


@contextlib.contextmanager
def rung_through(url: str) -> Iterator[Celery]:
    """Let this process ring as one does whose ``SLIPWAY_BROKER_URL`` is this."""
    before = os.environ.get("SLIPWAY_BROKER_URL")
    os.environ["SLIPWAY_BROKER_URL"] = url
    try:
        read = SimpleNamespace(**runpy.run_path(str(ROOT / "controlplane" / "settings.py")))
    finally:
        os.environ.pop("SLIPWAY_BROKER_URL")
        if before is not None:
            os.environ["SLIPWAY_BROKER_URL"] = before
    app = Celery("slipway", set_as_current=True)
    app.config_from_object(read, namespace="CELERY")
    try:
        yield app
    finally:
        app.close()
        usual.set_current()


@dataclass
class Worker:
    """A worker process of production's settings and this database.

    One that ends by itself is started again, as a container or a service is: Celery's ends where Redis goes away under
    a task, once the task is through.
    """

    home: Path
    database: str
    broker: str
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        log = self._launch()
        deadline = time.monotonic() + START_SECONDS
        while " ready." not in log.read_text():
            assert self.process is not None
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        threading.Thread(target=self._keep, name="keeper", daemon=True).start()

    def kill(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def _keep(self) -> None:
        process = self.process
        while process is not None:
            process.wait()
            if self.process is not process:
                return  # it was killed, and perhaps there is another since
            self._launch()
            process = self.process

    def _launch(self) -> Path:
        log = self.home / f"log-{time.monotonic_ns()}"
        own = {"SLIPWAY_DATABASE_URL": self.database, "SLIPWAY_BROKER_URL": self.broker, "SLIPWAY_HOME": str(self.home)}
        around = {**os.environ, **own, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *WORKER.split()], cwd=ROOT, env=around, stdout=output, stderr=output
            )
        return log

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
