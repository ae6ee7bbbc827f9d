"""Slipway as it runs in production, with every server that it uses started for it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.controlplane.running import ROOT
from tests.engines.brokers import RabbitMQ
from tests.engines.brokers import serve as serve_broker
from tests.engines.build_hosts import open_build_host
from tests.engines.daemons import Daemon, DockerHosts, open_docker_hosts
from tests.engines.databases import cluster
from tests.engines.registries import serve_registry
from tests.journeys import stack
from tests.journeys.stack import Stack

_ADD_TARGET = """
import json, sys, django
django.setup()
from apps.core.actors import SYSTEM
from apps.targets import services
services.create_target(actor=SYSTEM, **json.load(sys.stdin))
"""


@dataclass(frozen=True)
class Production(Stack):
    """The running product, and the machines on which its replicas run."""

    hosts: DockerHosts
    settings: Mapping[str, str]
    machines: list[Daemon] = field(default_factory=list)

    def find_replicas(self) -> dict[str, int]:
        """The process id, as this machine sees it, of each container of ours on any of the machines."""
        return {name: pid for name, (_machine, pid) in self.locate_replicas().items()}

    def locate_replicas(self) -> dict[str, tuple[str, int]]:
        """The machine and the process id of each replica, by its name."""
        ours = {"label": "slipway.deployment"}
        return {
            each.labels.get("slipway.replica", each.name): (machine.name, each.attrs["State"]["Pid"])
            for machine in self.machines
            for each in machine.client.containers.list(filters=ours, ignore_removed=True)
        }

    def add_target(self, name: str, kind: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """As the installation's own scripts would; what a person does for it is a story of its own."""
        asked = json.dumps({"name": name, "kind": kind, "config": config, "secrets": secrets})
        around = {**os.environ, **self.settings, "SLIPWAY_HOME": str(self.home)}
        around["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
        subprocess.run([sys.executable, "-c", _ADD_TARGET], input=asked, text=True, cwd=ROOT, env=around, check=True)


@contextlib.contextmanager
def open_production(home: Path) -> Iterator[Production]:
    """Everything, started; at the end no process of it is left."""
    with contextlib.ExitStack() as opened:
        hosts = opened.enter_context(open_docker_hosts(2))
        registry = opened.enter_context(serve_registry(hosts.lan.gateway, authority=hosts.authority))
        for daemon in hosts.daemons:
            daemon.trust(registry.address, hosts.authority.cert)
        builder = opened.enter_context(open_build_host())
        database = opened.enter_context(cluster())
        broker = opened.enter_context(serve_broker(RabbitMQ))
        settings = {
            "SLIPWAY_DATABASE_URL": database.create_with_tables("journeys"),
            "SLIPWAY_DATABASE_ADMIN_URL": database.url("journeys"),
            "SLIPWAY_BROKER_URL": broker.url,
            **builder.environ,
            **registry.environ,
        }
        running = opened.enter_context(stack.start(home, settings))
        yield Production(**vars(running), hosts=hosts, settings=settings, machines=list(hosts.daemons))
