"""Docker hosts for tests: real engines, each in a network namespace of its own, reached over TLS as GPU hosts are.

``docker_hosts`` gives two of them for the whole session. A registry that tests start on ``lan.gateway`` port 5000 may
speak plain HTTP to them; one on any other port needs TLS, and ``trust`` tells a host whose certificates to believe.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from tests.engines import require
from tests.engines.base_images import BASE_IMAGE, base_tar
from tests.engines.certificates import Authority, Pair
from tests.engines.networks import Lan, open_lan

PLAIN_REGISTRY_PORT = 5000
_TRUSTED = Path("/etc/docker/certs.d")  # where an engine looks for a registry's authority; it cannot be configured
_START_SECONDS = 40.0


@dataclass
class Daemon:
    """One Docker engine with its own disk, network and address."""

    name: str
    namespace: str
    address: str
    folder: Path
    lan: Lan
    _process: subprocess.Popen[bytes] | None = None
    _trusted: list[Path] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"tcp://{self.address}:2376"

    @property
    def socket(self) -> str:
        """For the test's own look behind the driver's back; a real host shows nothing but ``url``."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.socket, timeout=60)

    def start(self) -> None:
        """Start the engine and wait until it answers; it finds what it had before."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd {self.name} did not start:\n{self.log()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the engine and every container of it, as a host that is shut down."""
        if self._process is None:
            return
        with contextlib.suppress(DockerException):
            for container in self.client.containers.list(ignore_removed=True):
                with contextlib.suppress(DockerException):
                    container.kill()
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._process = None

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (DockerException, OSError):
            return False

    def cut(self) -> None:
        """Let the host vanish from the network while everything on it goes on."""
        self.lan.cut(self.namespace)

    def mend(self) -> None:
        self.lan.mend(self.namespace)

    def import_base(self) -> str:
        """Give it the base image, unless it has it; the name of the image."""
        if not self.client.images.list(BASE_IMAGE):
            self.client.api.timeout = 300
            repository, _colon, tag = BASE_IMAGE.rpartition(":")
            self.client.api.import_image_from_file(str(base_tar()), repository=repository, tag=tag)
        return BASE_IMAGE

    def trust(self, registry: str, authority: str) -> None:
        """Believe this authority (PEM) about the registry ``host:port``, as the host's administrator would set up."""
        folder = _TRUSTED / registry
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_text(authority)
        self._trusted.append(folder)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def remove(self) -> None:
        """Stop it and take away everything that it kept."""
        self.stop()
        for folder in self._trusted:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        # Ends with the test process, however that ends. With nsenter, not `ip netns exec`: that mounts a /sys without
        # cgroups. The names keep it apart from other engines, should the machine run one containerd for all.
        wrapped = ["setpriv", "--pdeathsig", "TERM", "nsenter", f"--net=/var/run/netns/{self.namespace}"]
        wrapped += ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]  # as a cluster shows it
        names = [f"--containerd-namespace={self.namespace}", f"--containerd-plugins-namespace={self.namespace}-plugins"]
        folders = [f"--data-root={self.folder}/data", f"--exec-root={self.folder}/run", f"--pidfile={self.folder}/pid"]
        plain = f"--insecure-registry={self.lan.gateway}:{PLAIN_REGISTRY_PORT}"
        own = [f"--config-file={self.folder}/daemon.json", "--log-level=warn"]
        return [*wrapped, require("docker"), *names, *folders, *self._listen(), plain, *own]

    def _listen(self) -> list[str]:
        tls = [f"--tls{word}={self.folder}/{file}" for word, file in _TLS_FILES.items()]
        return [f"--host={self.socket}", f"--host={self.url}", "--tlsverify", *tls]


_TLS_FILES = {"cacert": "ca.pem", "cert": "server.pem", "key": "server-key.pem"}


@dataclass
class DockerHosts:
    """Docker hosts on one network, and the client's certificate that opens them."""

    lan: Lan
    folder: Path
    authority: Authority = field(default_factory=Authority)
    daemons: list[Daemon] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pair: Pair = self.authority.client("slipway")

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of a target of these hosts."""
        return {"ca": self.authority.cert, "cert": self.pair.cert, "key": self.pair.key}

    @property
    def config(self) -> dict[str, list[dict[str, str]]]:
        """The settings of a target of kind ``docker`` with all of these hosts."""
        return {"hosts": [{"name": daemon.name, "url": daemon.url} for daemon in self.daemons]}

    def add(self, **settings: Any) -> Daemon:
        """One more host, started; ``settings`` go into its daemon.json (with ``_`` for ``-``)."""
        namespace, address = self.lan.add()
        folder = self.folder / namespace
        folder.mkdir(mode=0o700)
        (folder / "ca.pem").write_text(self.authority.cert)
        settings = {"deprecated-key-path": f"{folder}/key.json", **settings}  # which is its identity
        (folder / "daemon.json").write_text(
            json.dumps({key.replace("_", "-"): value for key, value in settings.items()})
        )
        self.authority.server(address).write(folder, "server")
        daemon = Daemon(f"host{len(self.daemons) + 1}", namespace, address, folder, self.lan)
        self.daemons.append(daemon)
        daemon.start()
        return daemon

    def mend(self) -> None:
        """Undo what a test may have left: cables plugged in, engines running, no container of anybody's."""
        for daemon in self.daemons:
            daemon.mend()
            if not daemon.answers():
                daemon.stop()
                daemon.start()
            for container in daemon.client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True, v=True)
            daemon.client.networks.prune()


@contextlib.contextmanager
def open_docker_hosts(count: int) -> Iterator[DockerHosts]:
    """So many fresh Docker hosts; ends the test where this machine cannot have them."""
    require("docker")
    if os.geteuid() != 0:
        pytest.skip("Docker hosts of our own need root")
    folder = Path(tempfile.mkdtemp(prefix="slw-"))  # short: sockets lie in it
    with open_lan() as lan:
        hosts = DockerHosts(lan, folder)
        try:
            for _ in range(count):
                hosts.add()
            yield hosts
        finally:
            for daemon in hosts.daemons:
                daemon.remove()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def docker_hosts() -> Iterator[DockerHosts]:
    """Two Docker hosts for the whole session; a test leaves them as it found them (``mend``)."""
    with open_docker_hosts(2) as hosts:
        yield hosts
