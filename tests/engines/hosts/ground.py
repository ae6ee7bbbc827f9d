"""The ground that tests of this driver stand on: two Docker hosts, a registry that they trust, and an image in it."""

import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.engines.daemons import Daemon, DockerHosts
from tests.engines.hosts.images import push_small_image
from tests.engines.registries import Registry, serve_registry
from worker.drivers.docker_host import hosts as circuits
from worker.drivers.docker_host.driver import DockerHostDriver
from worker.specs import ReplicaSpec, TargetSpec

INSTANCE = "tests"
SECRET = "the secret of this replica"


@dataclass
class Ground:
    hosts: DockerHosts
    registry: Registry
    location: str
    draining: list[str] = field(default_factory=list)
    _flipped: Path | None = None  # what the registry has damaged now

    @property
    def target(self) -> TargetSpec:
        return TargetSpec("gpus", "docker", self.hosts.config, self.hosts.secrets, tuple(self.draining))

    def open(self) -> DockerHostDriver:
        """A driver as a worker that has just started would open it."""
        circuits._circuits.clear()
        return DockerHostDriver(self.target)

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE, **fields: Any) -> ReplicaSpec:
        labels = {"instance": instance, "deployment": name.split("-")[1], "release": "1", "generation": "1"}
        spec = ReplicaSpec(name, labels, self.location, "", self.digest, SECRET, memory_bytes=128 << 20, cpus=0.5)
        return replace(spec, drain_seconds=2.0, registry=self.registry.access, **fields)

    def daemon(self, name: str) -> Daemon:
        return next(daemon for daemon in self.hosts.daemons if daemon.name == name)

    @property
    def digest(self) -> str:
        return self.location.rpartition("@")[2]

    def change_what_the_registry_has(self) -> None:
        """Flip one byte in the middle of the image's layer, and let no host have it from before."""
        for daemon in self.hosts.daemons:
            for image in daemon.client.images.list():
                daemon.client.images.remove(image.id, force=True)
        manifest = json.loads(self.registry.blob(self.digest).read_bytes())
        self._flip(self.registry.blob(manifest["layers"][0]["digest"]))

    def _flip(self, path: Path) -> None:
        self._flipped = None if self._flipped else path
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))

    def mend(self) -> None:
        if self._flipped:
            self._flip(self._flipped)
        self.draining.clear()
        self.hosts.mend()
        circuits._circuits.clear()


def ask(address: str, path: str, secret: str = SECRET) -> tuple[int, Any]:
    """A replica's answer: the status, and what it said as JSON."""
    host, _colon, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", path, headers={"X-Slipway-Secret": secret})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


@pytest.fixture(scope="session")
def docker_ground(docker_hosts: DockerHosts) -> Iterator[Ground]:
    """Two Docker hosts that trust a registry with one image in it; ``mend`` after each test that uses it."""
    with serve_registry(docker_hosts.lan.gateway, authority=docker_hosts.authority) as registry:
        for daemon in docker_hosts.daemons:
            daemon.trust(registry.address, docker_hosts.authority.cert)
        yield Ground(docker_hosts, registry, push_small_image(registry))
