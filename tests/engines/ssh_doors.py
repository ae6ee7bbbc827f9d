"""Docker hosts that are reached over SSH: a real sshd in the namespace of each, in front of its engine's own socket."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.engines import require
from tests.engines.daemons import Daemon, DockerHosts
from worker.specs import TargetSpec

_SETTINGS = """
ListenAddress {address}:22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/pid
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
SetEnv DOCKER_HOST={socket}
"""


class Key:
    """A pair of keys, as OpenSSH writes them."""

    def __init__(self) -> None:
        key, none = Ed25519PrivateKey.generate(), serialization.NoEncryption()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        self.private = key.private_bytes(pem, form, none).decode()
        ssh, public = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        self.public = key.public_key().public_bytes(ssh, public).decode()


@dataclass
class Door:
    """The sshd of one host, with a key of its own."""

    daemon: Daemon
    folder: Path
    key: Key = field(default_factory=Key)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ssh://root@{self.daemon.address}"

    @property
    def known_host(self) -> str:
        """The line that ssh-keyscan would print."""
        return f"{self.daemon.address} {self.key.public}"

    def start(self, client: Key) -> None:
        program = require("openssh")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself up before anybody has signed in
        texts = {"host_key": self.key.private, "authorized_keys": client.public + "\n"}
        texts["config"] = _SETTINGS.format(address=self.daemon.address, folder=self.folder, socket=self.daemon.socket)
        for name, text in texts.items():
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_text(text)
        inside = ["nsenter", f"--net=/var/run/netns/{self.daemon.namespace}"]
        with (self.folder / "log").open("wb") as log:
            command = ["setpriv", "--pdeathsig", "TERM", *inside, program, "-D", "-e", "-f", self.folder / "config"]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def _listens(self) -> bool:
        with socket.socket() as made:
            made.settimeout(1)
            return made.connect_ex((self.daemon.address, 22)) == 0


@dataclass
class Doors:
    """One in front of each host, and the key that opens them all."""

    doors: list[Door]
    client: Key = field(default_factory=Key)

    @property
    def secrets(self) -> dict[str, str]:
        known = "\n".join(door.known_host for door in self.doors)
        return {"ssh_key": self.client.private, "known_hosts": known}

    def instead_of_tls(self, target: TargetSpec) -> TargetSpec:
        """The same hosts, over SSH."""
        hosts = [{"name": door.daemon.name, "url": door.url} for door in self.doors]
        return replace(target, config={"hosts": hosts}, secrets=self.secrets)


@pytest.fixture(scope="session")
def ssh_doors(docker_hosts: DockerHosts) -> Iterator[Doors]:
    """Both Docker hosts of the session, reached over SSH as well."""
    require("openssh")
    folder = Path(tempfile.mkdtemp(prefix="slw-ssh-"))
    made = []
    for daemon in docker_hosts.daemons:
        (folder / daemon.name).mkdir()
        made.append(Door(daemon, folder / daemon.name))
    doors = Doors(made)
    try:
        for door in doors.doors:
            door.start(doors.client)
        yield doors
    finally:
        for door in doors.doors:
            door.stop()
        shutil.rmtree(folder, ignore_errors=True)
