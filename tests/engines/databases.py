"""A PostgreSQL cluster of our own on a free port of the loopback: databases with all tables, roles, faults at will."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connections
from environ import Env

from tests.engines import require

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]
APP = "application"  # the role that the product signs in as: it may make databases' tables, and nothing else
_TEMPLATE = "slipway_template"


@dataclass(frozen=True)
class Cluster:
    """One server. Durability is off: nothing in it outlives the tests, though it does outlive an immediate stop."""

    programs: Path
    folder: Path
    port: int

    def url(self, database: str = "postgres", user: str = "slipway") -> str:
        """``slipway`` is the superuser; everybody is trusted."""
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
        self._control("--log", f"{self.folder}/log", "--options", options, "start")

    def stop(self) -> None:
        """End it as a crash would: connections break, what was committed is there after the next start."""
        self._control("--mode", "immediate", "stop")

    def create(self, name: str, *, template: str = "template0", owner: str = "slipway") -> str:
        """A new database; its URL."""
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{owner}"')
        return self.url(name)

    def create_with_tables(self, name: str) -> str:
        """A new database of ``APP`` in which every migration has run (once for all of them); its URL."""
        if not self.psql(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):
            self.psql(f"CREATE ROLE {APP} LOGIN")
            self.create(_TEMPLATE, owner=APP)
            manage(self.url(_TEMPLATE, APP), "migrate", "--verbosity", "0")
            manage(self.url(_TEMPLATE, APP), "createcachetable")
        self.create(name, template=_TEMPLATE, owner=APP)
        return self.url(name, APP)

    def psql(self, statement: str, *, database: str = "postgres", user: str = "slipway") -> str:
        """What ``psql`` prints; CalledProcessError with its words when the server refuses."""
        command = [str(self.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", self.url(database, user)]
        done = subprocess.run(command, input=statement, capture_output=True, text=True, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, statement, done.stdout, done.stderr)
        return done.stdout.strip()

    def initialise(self) -> None:
        data = ["--pgdata", str(self.folder / "data"), "--username", "slipway", "--auth", "trust", "--encoding", "UTF8"]
        self._run(str(self.programs / "initdb"), *data, "--no-sync")

    def _control(self, *arguments: str) -> None:
        self._run(
            str(self.programs / "pg_ctl"), "--pgdata", str(self.folder / "data"), "--wait", "--silent", *arguments
        )

    def _run(self, *command: str) -> None:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, check=True, **as_nobody)


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh, running cluster."""
    programs = Path(require("postgresql")).resolve().parent  # a link to initdb alone serves too
    with tempfile.TemporaryDirectory(prefix="slipway-pg-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)  # PostgreSQL refuses to run as root
        server = Cluster(programs, Path(folder), _find_free_port())
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # a test may have left it stopped
                server.stop()


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """A fresh cluster; the URL of an empty database in it."""
    with cluster() as server:
        yield server.url()


@contextlib.contextmanager
def used_here(url: str) -> Iterator[None]:
    """Make the database at ``url`` this process's own, for new threads too, without a transaction around anything."""
    known, present = connections.settings["default"], connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": Env.db_url_config(url)})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"], connections["default"] = known, present


def manage(url: str, *command: str, **environment: str) -> str:
    """What a command of ``manage.py`` prints when it runs on the database at ``url``."""
    with tempfile.TemporaryDirectory(prefix="slipway-home-") as home:
        around = {**os.environ, "SLIPWAY_HOME": home, "SLIPWAY_DATABASE_URL": url, **environment}
        around["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
        program = [sys.executable, "-m", "django", *command]
        done = subprocess.run(program, cwd=ROOT, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
