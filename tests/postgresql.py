"""A PostgreSQL server of our own for as long as a command runs: ``python -m tests.postgresql <command …>``.

The command finds its address in ``SLIPWAY_DATABASE_URL``, and the whole suite can run on it.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.engines import require

NOBODY = 65534


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """A fresh cluster on a free port of the loopback; its URL. Durability is off: nothing here outlives the command."""
    programs = Path(require("postgresql")).parent
    with tempfile.TemporaryDirectory(prefix="slipway-pg-") as folder:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if as_nobody:
            os.chown(folder, NOBODY, NOBODY)  # PostgreSQL refuses to run as root
        port = _find_free_port()
        data, options = f"{folder}/data", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [str(programs / "pg_ctl"), "--pgdata", data, "--wait", "--silent"]

        def run(*command: str) -> None:
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True, **as_nobody)

        run(
            str(programs / "initdb"), "--pgdata", data, "--username", "slipway", "--auth", "trust", "--encoding", "UTF8"
        )
        run(*control, "--log", f"{folder}/log", "--options", options, "start")
        try:
            yield f"postgres://slipway@127.0.0.1:{port}/postgres"
        finally:
            run(*control, "--mode", "immediate", "stop")


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with serve() as url:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "SLIPWAY_DATABASE_URL": url}, check=False).returncode)
