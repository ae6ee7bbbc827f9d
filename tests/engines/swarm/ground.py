"""The ground that tests of this driver stand on: a cluster of two nodes, a registry that they trust, an image in it."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from tests.engines.daemons import Daemon
from tests.engines.hosts.images import push_small_image
from tests.engines.registries import Registry, serve_registry
from tests.engines.swarms import Swarm, open_swarm
from worker.drivers.docker_host import hosts as circuits
from worker.drivers.swarm import services
from worker.drivers.swarm.driver import SwarmDriver
from worker.specs import ReplicaSpec, TargetSpec

INSTANCE = "tests"
SECRET = "the secret of this replica"


@dataclass
class Ground:
    swarm: Swarm
    registry: Registry
    location: str
    config: dict[str, Any] = field(default_factory=dict)  # of the target, over the cluster's own
    draining: list[str] = field(default_factory=list)
    _flipped: Path | None = None

    @property
    def target(self) -> TargetSpec:
        config = {**self.swarm.config, **self.config}
        return TargetSpec("cluster", "swarm", config, self.swarm.hosts.secrets, tuple(self.draining))

    def open(self) -> SwarmDriver:
        """A driver as a worker that has just started would open it."""
        circuits._circuits.clear()
        return SwarmDriver(self.target)

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE, **fields: Any) -> ReplicaSpec:
        labels = {"instance": instance, "deployment": name.split("-")[1], "release": "1", "generation": "1"}
        digest = self.location.rpartition("@")[2]
        spec = ReplicaSpec(name, labels, self.location, "", digest, SECRET, memory_bytes=128 << 20, cpus=0.5)
        return replace(spec, **{"drain_seconds": 1.0, "registry": self.registry.access, **fields})

    def daemon(self, name: str) -> Daemon:
        return next(daemon for daemon in self.swarm.hosts.daemons if daemon.name == name)

    def container(self, name: str) -> Container:
        """The running container of a replica, wherever it is."""
        label = {"label": f"slipway.replica={name}"}
        found = [
            each
            for daemon in self.swarm.hosts.daemons
            for each in daemon.client.containers.list(filters=label, ignore_removed=True)
        ]
        (only,) = found
        return only

    def kill(self, name: str) -> None:
        os.kill(self.container(name).attrs["State"]["Pid"], signal.SIGKILL)

    def change_what_the_registry_has(self) -> None:
        """Until ``tidy``: flip one byte in the middle of the image's layer, and let no node have it from before."""
        for daemon in self.swarm.hosts.daemons:
            for image in daemon.client.images.list():
                daemon.client.images.remove(image.id, force=True)
        manifest = json.loads(self.registry.blob(self.location.rpartition("@")[2]).read_bytes())
        self._flip(self.registry.blob(manifest["layers"][0]["digest"]))

    def tidy(self) -> None:
        if self._flipped:
            self._flip(self._flipped)
        self.config.clear()
        self.draining.clear()
        self.swarm.tidy()
        circuits._circuits.clear()

    def _flip(self, path: Path) -> None:
        self._flipped = None if self._flipped else path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@contextlib.contextmanager
def open_ground() -> Iterator[Ground]:
    with (
        open_swarm() as swarm,
        serve_registry(swarm.hosts.lan.gateway, authority=swarm.hosts.authority) as registry,
    ):
        for daemon in swarm.hosts.daemons:
            daemon.trust(registry.address, swarm.hosts.authority.cert)
        yield Ground(swarm, registry, push_small_image(registry))


@pytest.fixture(scope="session")
def swarm_ground() -> Iterator[Ground]:
    """One cluster for the whole session; ``tidy`` after each test that uses it."""
    with pytest.MonkeyPatch.context() as patch, open_ground() as ground:
        patch.setattr(services, "HEALTH_SECONDS", 0.5)  # a start takes at least so long
        yield ground
