"""A real S3 service of our own on the loopback: OpenStack Swift with its S3 interface, as four processes over a folder.

Swift insists on ``/etc/swift``: each process has that folder of ours mounted there, where nobody else sees it.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.engines import require
from tests.engines.brokers import find_free_port

ACCESS_KEY, SECRET_KEY = "models:slipway", "only-for-tests"
START_SECONDS = 60
KINDS = ("account", "container", "object")

_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip(("account", "container", "object"), ports):
    ring = RingBuilder(4, 1, 1)
    place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1.0}
    ring.add_dev({**place, "replication_ip": place["ip"], "replication_port": place["port"], "meta": ""})
    ring.rebalance()
    ring.get_ring().save(f"{folder}/{kind}.ring.gz")
"""
_SWIFT = """[swift-hash]
swift_hash_path_prefix = slipway
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
"""
_COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = /etc/swift
devices = {folder}
mount_check = false
log_level = ERROR
"""
_STORAGE = """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
# There is nobody else to ask, so one that failed (it has not started yet) is not left alone, as it would be for 60 s.
_PROXY = f"""[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats s3api tempauth bulk slo dlo symlink versioned_writes \
proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
error_suppression_interval = 0
[filter:tempauth]
use = egg:swift#tempauth
user_{ACCESS_KEY.replace(":", "_")} = {SECRET_KEY} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{{memory}}
"""
_FILTERS = ("catch_errors", "proxy-logging", "listing_formats", "s3api", "bulk", "slo", "dlo", "symlink")


@dataclass
class S3:
    """One service; whatever is in it is gone when it ends."""

    folder: Path
    port: int
    running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, store: str = "s3://models/team") -> dict[str, str]:
        """The environment of a process that keeps its artifacts here."""
        return {
            "SLIPWAY_STORE_URL": store,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> BaseClient:
        patience = Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 1})
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", config=patience, **keys)

    def start(self) -> None:
        program = Path(require("swift")).parent
        memory = self.folder / "memory"
        self._run(require("memcached"), "-l", "127.0.0.1", "-p", memory.read_text(), "-u", "nobody")
        for kind in (*KINDS, "proxy"):
            mounted = f'mount --bind {self.folder} /etc/swift && exec "$@"'
            command = [str(program / f"swift-{kind}-server"), f"/etc/swift/{kind}-server.conf"]
            self._run("unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, "sh", *command)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"no S3 after {START_SECONDS} s:\n{(self.folder / 'output').read_text()}")
            time.sleep(0.2)

    def stop(self) -> None:
        while self.running:
            process = self.running.pop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def answers(self) -> bool:
        """Whether all of its servers are there: of accounts, of containers and of objects."""
        client: Any = self.client()
        try:
            with contextlib.suppress(ClientError):  # it may be there from the last try
                client.create_bucket(Bucket="first")
            client.put_object(Bucket="first", Key="word", Body=b"here")
        except (BotoCoreError, ClientError):
            return False
        return True

    def _run(self, *command: str) -> None:
        with (self.folder / "output").open("ab") as output:
            self.running.append(subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True))


@contextlib.contextmanager
def serve() -> Iterator[S3]:
    """A fresh, running service without buckets."""
    require("swift")
    if os.geteuid() != 0:
        pytest.skip("Swift is started with a mount of its own, which only root can make")
    with tempfile.TemporaryDirectory(prefix="slipway-s3-", ignore_cleanup_errors=True) as name:
        service = S3(Path(name), find_free_port())
        try:
            _configure(service)
            service.start()
            yield service
        finally:
            service.stop()


def _configure(service: S3) -> None:
    folder = service.folder
    ports = {kind: find_free_port() for kind in KINDS} | {"proxy": service.port}
    user = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "disk").mkdir()
    (folder / "memory").write_text(str(find_free_port()))
    (folder / "swift.conf").write_text(_SWIFT)
    for kind, port in ports.items():
        own = _PROXY.format(memory=(folder / "memory").read_text()) if kind == "proxy" else _STORAGE.format(kind=kind)
        text = _COMMON.format(port=port, user=user, folder=folder) + own
        (folder / f"{kind}-server.conf").write_text(text)
    with (folder / "proxy-server.conf").open("a") as proxy:
        for name in (*_FILTERS, "versioned_writes"):
            proxy.write(f"[filter:{name}]\nuse = egg:swift#{name.replace('proxy-logging', 'proxy_logging')}\n")
    storage = [str(ports[kind]) for kind in KINDS]
    subprocess.run(["/usr/bin/python3", "-c", _RINGS, str(folder), *storage], check=True)
