"""Real programs that some tests need: found where they are, skipped with the reason where they are not.

Where ``SLIPWAY_REQUIRE`` names an engine (``chromium,postgresql``), its absence fails the test instead: on the machine
that is there to try everything, nothing is left out in silence. Engines that want to be root, to change the network of
the machine or a minute of patience (``ASKED_FOR``) are only started where they are named so.
"""

import os
import shutil
from pathlib import Path

import pytest

from worker import sandbox

PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "postgresql": ("initdb",),
    "bubblewrap": ("bwrap",),
    "wrk": ("wrk",),
    "docker": ("dockerd",),
    "openssh": ("sshd",),
    "debootstrap": ("debootstrap",),
    "docker-compose": ("docker-compose",),
    "docker-registry": ("docker-registry",),
    "rabbitmq": ("rabbitmq-server",),
    "redis": ("redis-server",),
    "swift": ("swift-proxy-server",),
    "memcached": ("memcached",),
}
ASKED_FOR = frozenset(
    {"docker", "openssh", "debootstrap", "docker-compose", "docker-registry", "rabbitmq", "redis", "swift", "memcached"}
)
_POSTGRESQL = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/bin", *_POSTGRESQL]


def require(name: str) -> str:
    """The path of the engine's program; ends the test where this machine has none."""
    found, is_required = find(name), _is_required(name)
    if found is None and is_required:
        pytest.fail(f"{name} is required here (SLIPWAY_REQUIRE) and not installed")
    if found is None:
        pytest.skip(f"{name} is not installed on this machine")
    if name in ASKED_FOR and not is_required:
        pytest.skip(f"{name} is started only where SLIPWAY_REQUIRE={name} asks for it")
    return found


def are_asked_for() -> bool:
    """Whether this run is one for engines."""
    return any(map(_is_required, ASKED_FOR))


def _is_required(name: str) -> bool:
    return name in os.environ.get("SLIPWAY_REQUIRE", "").split(",")


def require_wall(kind: str) -> sandbox.Wall:
    """This kind of sandbox; ends the test where the machine cannot have it."""
    wall = next((wall for wall in sandbox.available() if wall.kind == kind), None)
    if wall is None and _is_required(kind):
        pytest.fail(f"the sandbox {kind} is required here (SLIPWAY_REQUIRE) and this machine cannot have it")
    if wall is None:
        pytest.skip(f"this machine has no {kind}")
    return wall


def require_folder(name: str) -> Path:
    """Where environments with large libraries (``torch``, ``tensorflow``) are kept between runs; ends the test where
    SLIPWAY_TEST_ENVIRONMENTS names no folder for them: making one takes a minute and half a gigabyte."""
    folder = os.environ.get("SLIPWAY_TEST_ENVIRONMENTS")
    if not folder and _is_required(name):
        pytest.fail(f"{name} is required here (SLIPWAY_REQUIRE), and SLIPWAY_TEST_ENVIRONMENTS names no folder for it")
    if not folder:
        pytest.skip(f"SLIPWAY_TEST_ENVIRONMENTS names no folder in which an environment with {name} could be kept")
    return Path(folder)


def find(name: str) -> str | None:
    """The path of the engine's program, if this machine has it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *FOLDERS])
    return next((found for program in PROGRAMS[name] if (found := shutil.which(program, path=path))), None)
