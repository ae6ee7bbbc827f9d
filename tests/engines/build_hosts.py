"""A Docker engine for builds: on this machine's own network, because what it builds fetches packages from the index.

``build_host`` gives one for the whole session, with the base image in it and nothing else.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from tests.engines import require
from tests.engines.base_images import BASE_IMAGE, base_tar

_START_SECONDS = 40.0
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # the machine's own: its network may sign TLS anew


@dataclass
class BuildHost:
    """One engine without networks of its own: what runs there uses this machine's (``network``) or none."""

    folder: Path
    network: str = "host"
    name: str = field(default_factory=lambda: f"slw-build-{secrets.token_hex(4)}")  # as containerd takes it: no "_"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.url, timeout=120)

    @property
    def ca_bundle(self) -> str:
        """For SLIPWAY_CA_BUNDLE: what an index is trusted by from inside a build."""
        return _CERTIFICATES if Path(_CERTIFICATES).exists() else ""

    @property
    def environ(self) -> Mapping[str, str]:
        """The settings of a Slipway that builds on it."""
        return {
            "SLIPWAY_BUILD_HOST": self.url,
            "SLIPWAY_BUILD_NETWORK": self.network,
            "SLIPWAY_BASE_IMAGE": BASE_IMAGE,
            "SLIPWAY_CA_BUNDLE": self.ca_bundle,
        }

    def start(self) -> None:
        names = [f"--containerd-namespace={self.name}", f"--containerd-plugins-namespace={self.name}-p"]
        folders = [f"--data-root={self.folder}/data", f"--exec-root={self.folder}/run", f"--pidfile={self.folder}/pid"]
        command = ["setpriv", "--pdeathsig", "TERM", require("docker"), *names, *folders, f"--host={self.url}"]
        with (self.folder / "log").open("ab") as log:
            # Without a bridge it leaves this machine's firewall alone.
            words = [*command, "--bridge=none", "--iptables=false", "--log-level=warn"]
            self._process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start:\n{(self.folder / 'log').read_text()[-4000:]}")
            time.sleep(0.1)

    def import_base(self) -> None:
        repository, _colon, tag = BASE_IMAGE.rpartition(":")
        with contextlib.closing(self.client) as client:
            client.api.import_image_from_file(str(base_tar()), repository=repository, tag=tag)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None
            # The engine leaves the mount of this machine's network behind, on which the folder would hang.
            subprocess.run(["umount", f"{self.folder}/run/netns/default"], capture_output=True, check=False)

    def _answers(self) -> bool:
        with contextlib.suppress(DockerException, OSError), contextlib.closing(self.client) as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def open_build_host() -> Iterator[BuildHost]:
    """An engine with the base image; ends the test where this machine cannot have one."""
    require("docker")
    if os.geteuid() != 0:
        pytest.skip("a Docker engine of our own needs root")
    folder = Path(tempfile.mkdtemp(prefix="slw-build-"))
    host = BuildHost(folder)
    try:
        host.start()
        host.import_base()
        yield host
    finally:
        host.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def build_host() -> Iterator[BuildHost]:
    with open_build_host() as host:
        yield host
