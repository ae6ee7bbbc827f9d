"""A bed per kind of driver: how to open it, what to start on it, and how to let a replica die by itself."""

import http.client
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engines.hosts.ground import Ground
from tests.engines.swarm.ground import Ground as SwarmGround
from tests.worker.builders.making import make_spec
from worker.builders.bundles import pack_bundle
from worker.drivers import machine
from worker.drivers.base import Driver
from worker.drivers.docker_host.driver import DockerHostDriver
from worker.drivers.fake import WORLD, fake_target
from worker.drivers.records import Folder
from worker.drivers.registry import open_driver
from worker.specs import ReplicaSpec, ReplicaStatus, TargetSpec

INSTANCE = "tests"


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class Bed(ABC):
    """One kind of driver with a place of its own to work in."""

    kind: str

    def __init__(self, home: Path, fixture: Callable[[str], Any]) -> None:
        self.home = home
        self.fixture = fixture  # the session's: an engine that this machine lacks ends the test there
        self.driver = self.open()

    def open(self) -> Driver:
        """A driver as a worker started later would open it."""
        return open_driver(TargetSpec(str(self.home), self.kind), self.home)

    @abstractmethod
    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE) -> ReplicaSpec: ...

    @abstractmethod
    def damage(self, spec: ReplicaSpec) -> None:
        """Change what the spec's digest was taken of."""

    @abstractmethod
    def kill(self, name: str) -> None:
        """End a replica behind the driver's back."""

    def host_of(self, status: ReplicaStatus) -> str:
        """Where a replica with this status is reached."""
        return "127.0.0.1"

    def close(self) -> None:
        for status in self.driver.list_owned(INSTANCE) + self.driver.list_owned("another"):
            self.driver.stop(status.name, 0)

    def until(self, name: str, state: str) -> ReplicaStatus:
        wait_for(lambda: self.driver.status(name).state == state)
        return self.driver.status(name)


def _labels(instance: str) -> dict[str, str]:
    return {"instance": instance, "deployment": "1", "release": "1", "generation": "1"}


class FakeBed(Bed):
    kind = "fake"

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE) -> ReplicaSpec:
        return ReplicaSpec(name, _labels(instance), "fake:bundle", "fake:environment", "d1", "secret")

    def damage(self, spec: ReplicaSpec) -> None:
        fake_target(str(self.home)).digests[spec.location] = "d2"

    def kill(self, name: str) -> None:
        fake_target(str(self.home)).crash(name)

    def close(self) -> None:
        WORLD.pop(str(self.home), None)


class ProcessBed(Bed):
    kind = "process"

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE) -> ReplicaSpec:
        digest, bundle = pack_bundle(make_spec(self.home), self.home)
        spec = ReplicaSpec(name, _labels(instance), str(bundle), sys.prefix, digest, "the secret of this replica")
        return replace(spec, drain_seconds=2.0)

    def damage(self, spec: ReplicaSpec) -> None:
        manifest = Path(spec.location, "slipway.json")
        manifest.chmod(0o644)
        manifest.write_text(manifest.read_text() + " ")

    def kill(self, name: str) -> None:
        folder = Folder(self.home, name)
        pids = folder.pids()
        assert pids
        wait_for(lambda: speaks(folder))  # before that the last of its processes may be one that starts the next
        os.kill(machine.last_descendant(pids[1]), signal.SIGKILL)


class DockerBed(Bed):
    kind = "docker"

    @property
    def ground(self) -> Ground:
        return self.fixture("docker_ground")

    def open(self) -> Driver:
        return self.ground.open()

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE) -> ReplicaSpec:
        return self.ground.make(name, instance)

    def damage(self, spec: ReplicaSpec) -> None:
        self.ground.change_what_the_registry_has()

    def kill(self, name: str) -> None:
        status = self.driver.status(name)
        self.ground.daemon(status.node).client.containers.get(name).kill()

    def host_of(self, status: ReplicaStatus) -> str:
        return self.ground.daemon(status.node).address

    def close(self) -> None:
        self.ground.mend()


class SshBed(DockerBed):
    """The same hosts, reached over SSH."""

    def open(self) -> Driver:
        self.ground.open()  # which has forgotten who did not answer
        return DockerHostDriver(self.fixture("ssh_doors").instead_of_tls(self.ground.target))


class SwarmBed(Bed):
    kind = "swarm"

    @property
    def ground(self) -> SwarmGround:
        return self.fixture("swarm_ground")

    def open(self) -> Driver:
        return self.ground.open()

    def make(self, name: str = "slipway-1-1-0", instance: str = INSTANCE) -> ReplicaSpec:
        return self.ground.make(name, instance)

    def damage(self, spec: ReplicaSpec) -> None:
        self.ground.change_what_the_registry_has()

    def kill(self, name: str) -> None:
        self.ground.kill(name)

    def host_of(self, status: ReplicaStatus) -> str:
        return self.ground.daemon(status.node).address

    def close(self) -> None:
        self.ground.tidy()


def speaks(folder: Folder) -> bool:
    replica = folder.read()
    assert replica
    host, _colon, port = replica.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=2)
    try:
        connection.request("GET", "/v2/health/live")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


BEDS: dict[str, type[Bed]] = {
    "fake": FakeBed,
    "process": ProcessBed,
    "docker": DockerBed,
    "docker over ssh": SshBed,
    "swarm": SwarmBed,
}
