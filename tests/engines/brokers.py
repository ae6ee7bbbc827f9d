"""RabbitMQ and Redis of our own on free ports of the loopback, with a password each, and faults at will."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from kombu import Connection

from tests.engines import require

NOBODY = 65534
PASSWORD = "only-for-tests"
START_SECONDS = 60


class Broker(ABC):
    """One server: ``stop`` kills it, ``pause`` makes it hang; after a new ``start`` it is at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, find_free_port()
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """The address as ``SLIPWAY_BROKER_URL`` takes it."""

    @abstractmethod
    def _launch(self) -> None:
        """Start what belongs to the server, without waiting for it."""

    def start(self) -> None:
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, f"no broker after {START_SECONDS} s: {self.folder}"
            time.sleep(0.1)

    def stop(self) -> None:
        while self._running:
            process = self._running.pop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            with self._connect() as connection:
                connection.connect()
                connection.default_channel.close()
        except Exception:  # whatever a transport raises while its server is on the way
            return False
        return True

    def empty(self, *queues: str) -> None:
        """Drop every message that nobody has taken yet."""
        with self._connect() as connection:
            for queue in queues:
                connection.default_channel.queue_purge(queue)

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue; none in one that is not there."""
        with self._connect() as connection:
            try:
                return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:
                return 0

    def _connect(self) -> Connection:
        patience = {} if self.url.startswith("amqp") else {"socket_timeout": 2}  # a hung one must not hang the tests
        return Connection(self.url, connect_timeout=2, transport_options=patience)

    def _run(self, *command: str, **environment: str) -> None:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_nobody,
            )
        self._running.append(process)

    def _signal(self, number: int) -> None:
        for process in self._running:
            os.killpg(process.pid, number)


class Redis(Broker):
    """A Redis that keeps nothing on disk: stopping it forgets everything, as an emptied broker does."""

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def _launch(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no --requirepass {PASSWORD}"
        self._run(require("redis"), *options.split(), "--save", "")


class RabbitMQ(Broker):
    """A RabbitMQ node with a port mapper of its own."""

    @property
    def url(self) -> str:
        return f"amqp://slipway:{PASSWORD}@127.0.0.1:{self.port}//"

    def _launch(self) -> None:
        require("rabbitmq")
        folder, mapper = self.folder, str(find_free_port())
        (folder / "rabbitmq.conf").write_text(f"default_user = slipway\ndefault_pass = {PASSWORD}\n")
        self._run(shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", mapper)
        self._run(
            "/usr/lib/rabbitmq/bin/rabbitmq-server",  # the one on the path changes to a user and folders of its own
            ERL_EPMD_PORT=mapper,
            RABBITMQ_NODENAME=f"slipway{self.port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_DIST_PORT=str(find_free_port()),
            RABBITMQ_CONFIG_FILE=str(folder / "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "plugins"),
            RABBITMQ_MNESIA_BASE=str(folder / "data"),
            RABBITMQ_LOG_BASE=str(folder),
            RABBITMQ_PID_FILE=str(folder / "pid"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none",  # no spinning while idle
        )


@contextlib.contextmanager
def serve(kind: type[Broker]) -> Iterator[Broker]:
    """A fresh, running broker of this kind."""
    require({Redis: "redis", RabbitMQ: "rabbitmq"}[kind])
    with tempfile.TemporaryDirectory(prefix="slipway-mq-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        broker = kind(Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
