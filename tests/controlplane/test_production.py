"""Settings for production: clean under Django's deployment checks, and the tables on PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.running import ROOT
from tests.postgresql import serve

PRODUCTION = {
    "SLIPWAY_WEB_URL": "https://slipway.example.com",
    "SLIPWAY_GATEWAY_URL": "https://models.example.com",
    "SLIPWAY_BROKER_URL": "amqp://slipway@127.0.0.1:5672//",
}


def manage(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "DJANGO_"))}
    environment = {**inherited, "SLIPWAY_HOME": str(home), **settings}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_deployment_checks_find_nothing(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.engine
def test_services_keep_their_promises_on_postgresql(tmp_path: Path) -> None:
    with serve() as url:
        command = [sys.executable, "-m", "pytest", "-q", "tests/releases", "tests/targets"]
        environment = {**os.environ, "SLIPWAY_HOME": str(tmp_path), "SLIPWAY_DATABASE_URL": url}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
