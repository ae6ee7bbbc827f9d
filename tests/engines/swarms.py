"""A Swarm cluster for tests: Docker hosts of our own joined into one, its first node the only manager."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.engines.daemons import Daemon, DockerHosts, open_docker_hosts

GPU = "GPU-0f3c"  # what the first node says it has; nothing of a test ever uses it
_POOL = "10.240.0.0/16"  # for the networks of replicas, beside those of the hosts themselves
_CALM_SECONDS = 30.0


@dataclass
class Swarm:
    """A running cluster, and what a target needs to use it."""

    hosts: DockerHosts

    @property
    def manager(self) -> Daemon:
        return self.hosts.daemons[0]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of a target of kind ``swarm``; its secrets are the hosts'."""
        return {"managers": [{"name": self.manager.name, "url": self.manager.url}], "engine_port": 2376}

    def state_of(self, daemon: Daemon) -> str:
        """What the cluster thinks of one of its nodes: ready, down …"""
        nodes = self.manager.client.nodes.list()
        return next(node.attrs["Status"]["State"] for node in nodes if _name(node) == daemon.name)

    def set_availability(self, daemon: Daemon, availability: str) -> None:
        """``active``, ``pause`` or ``drain``, as an administrator of the cluster sets it."""
        node = next(node for node in self.manager.client.nodes.list() if _name(node) == daemon.name)
        node.update({**node.attrs["Spec"], "Availability": availability})

    def tidy(self) -> None:
        """Take away every service, secret and network that a test left, and wait until every node is well."""
        client = self.manager.client
        for thing in [*client.services.list(), *client.secrets.list()]:
            thing.remove()
        for daemon in self.hosts.daemons:
            self.set_availability(daemon, "active")
            wait_until(lambda daemon=daemon: self.state_of(daemon) == "ready")
            # Also of those that ended: what they hold of an image would not be fetched again.
            wait_until(lambda daemon=daemon: not daemon.client.containers.list(all=True, ignore_removed=True))
        for network in client.networks.list(filters={"label": "slipway.replica"}):
            network.remove()


def wait_until(condition: Any, seconds: float = _CALM_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not calm down in time"
        time.sleep(0.1)


@contextlib.contextmanager
def open_swarm(count: int = 2) -> Iterator[Swarm]:
    """A fresh cluster of so many nodes."""
    with open_docker_hosts(0) as hosts:
        for number in range(count):
            hosts.add(**({"node_generic_resources": [f"gpu={GPU}"]} if number == 0 else {}))
        swarm = Swarm(hosts)
        api = swarm.manager.client.api
        api.init_swarm(advertise_addr=swarm.manager.address, default_addr_pool=[_POOL], subnet_size=24)
        token = api.inspect_swarm()["JoinTokens"]["Worker"]
        for daemon in hosts.daemons[1:]:
            daemon.client.swarm.join([f"{swarm.manager.address}:2377"], token, advertise_addr=daemon.address)
        yield swarm


def _name(node: Any) -> str:
    return str(node.attrs["Description"]["Hostname"])
