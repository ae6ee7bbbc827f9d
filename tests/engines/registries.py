"""A container registry for tests: Debian's docker-registry over a folder of its own, with a password.

``serve_registry()`` speaks plain HTTP on the loopback; with an ``authority`` it speaks TLS under a certificate of that
authority, on any address of this machine, which is what Docker hosts in other network namespaces need.
"""

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines import require
from tests.engines.certificates import Authority
from worker.specs import RegistryAccess

USER, PASSWORD = "slipway", "harbour-42"
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuu.JCfv6WBFaI6rZwYqtUSlAOKg0YpNua\n"  # bcrypt of PASSWORD
_START_SECONDS = 20.0


@dataclass
class Registry:
    """One registry: how to reach it, and where its bytes lie."""

    host: str
    port: int
    folder: Path
    authority: Authority | None = None
    auth: str = ""  # YAML of another kind of sign-in than the password file
    prefix: str = "slipway"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """``host:port``, as image names begin."""
        return f"{self.host}:{self.port}"

    @property
    def ca_file(self) -> str:
        """The authority's certificate as a file; empty without TLS."""
        return str(self.folder / "ca.pem") if self.authority else ""

    @property
    def url(self) -> str:
        """What SLIPWAY_REGISTRY_URL is for it, credentials and all."""
        return f"{self._scheme}://{USER}:{PASSWORD}@{self.address}/{self.prefix}"

    @property
    def access(self) -> RegistryAccess:
        return RegistryAccess(f"{self._scheme}://{self.address}/{self.prefix}", USER, PASSWORD, self.ca_file)

    @property
    def environ(self) -> Mapping[str, str]:
        """The settings of a Slipway that uses it."""
        return {"SLIPWAY_REGISTRY_URL": self.url, "SLIPWAY_REGISTRY_CA": self.ca_file}

    def blob(self, digest: str) -> Path:
        """The file in which the registry keeps these bytes, for tests that change one of them."""
        hexadecimal = digest.removeprefix("sha256:")
        store = self.folder / "storage/docker/registry/v2/blobs/sha256"
        return store / hexadecimal[:2] / hexadecimal / "data"

    def start(self) -> None:
        config = self._configure()
        with (self.folder / "log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "TERM", require("docker-registry"), "serve", str(config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"docker-registry did not start:\n{self.log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """It keeps what it has: ``start`` finds it again."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def collect_garbage(self) -> None:
        """Let it give back the bytes of what was deleted; only while it is stopped."""
        command = [require("docker-registry"), "garbage-collect", str(self._configure())]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    @property
    def _scheme(self) -> str:
        return "https" if self.authority else "http"

    def _configure(self) -> Path:
        (self.folder / "htpasswd").write_text(_HTPASSWD)
        auth = self.auth or f"  htpasswd: {{realm: registry, path: {self.folder}/htpasswd}}"
        tls = f"  tls: {{certificate: {self.folder}/tls.pem, key: {self.folder}/tls-key.pem}}" if self.authority else ""
        path = self.folder / "config.yml"
        path.write_text(
            "version: 0.1\n"
            "log: {level: warn, accesslog: {disabled: true}}\n"
            f"storage:\n  filesystem: {{rootdirectory: {self.folder}/storage}}\n  delete: {{enabled: true}}\n"
            f"http:\n  addr: {self.address}\n{tls}\n"
            f"auth:\n{auth}\n"
        )
        return path

    def _answers(self) -> bool:
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.request("GET", "/v2/")
                return connection.getresponse().status in (200, 401)
        except OSError:
            return False

    def _connect(self) -> http.client.HTTPConnection:
        if self.authority is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=5)
        context = ssl.create_default_context(cadata=self.authority.cert)
        return http.client.HTTPSConnection(self.host, self.port, timeout=5, context=context)


@contextlib.contextmanager
def serve_registry(
    host: str = "127.0.0.1", *, port: int = 0, authority: Authority | None = None, auth: str = ""
) -> Iterator[Registry]:
    """An empty registry for as long as the block runs; its bytes are gone afterwards."""
    require("docker-registry")
    folder = Path(tempfile.mkdtemp(prefix="slw-registry-"))
    registry = Registry(host, port or _free_port(host), folder, authority, auth)
    try:
        if authority:
            (folder / "ca.pem").write_text(authority.cert)
            authority.server(host).write(folder, "tls")
        registry.start()
        yield registry
    finally:
        registry.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
