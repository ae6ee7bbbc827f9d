"""One ``manage.py up`` on a data folder and ports of its own, for all journeys."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.up.processes import find_marked
from tests.controlplane.running import Up, find_free_port


@dataclass(frozen=True)
class Stack:
    home: Path
    web: str
    gateway: str
    setup_path: str

    def find_replicas(self) -> dict[str, int]:
        """The process id of each model server on this machine, by the replica's name."""
        return {folder.parent.name: int(folder.read_text().split()[1]) for folder in self.home.glob("replicas/*/pid")}


@contextmanager
def start(home: Path, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """The running stack; at the end it is stopped as by Ctrl-C, and no process may be left."""
    up = Up(home, web_port=find_free_port(), gateway_port=find_free_port(), settings=settings)
    try:
        up.wait_until_ready()
        up.wait_for("Ctrl-C stops everything", 5)
        link = re.search(r"first administrator at (http://[^/]+)(/\S+)", up.output)
        assert link is not None, up.output
        running = Stack(home, link[1], f"http://127.0.0.1:{up.gateway_port}", link[2])
        yield running
        replicas = running.find_replicas().values()
        assert up.interrupt() == 0, up.output
        assert find_marked(home) == []
        assert [pid for pid in replicas if Path(f"/proc/{pid}").exists()] == []
    finally:
        for pid in [*find_marked(home), *([up.process.pid] if up.process.poll() is None else [])]:
            os.kill(pid, signal.SIGKILL)
