"""The escape suite: everything in escapes.py is tried behind every wall of this machine, and nothing succeeds."""

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import require_wall
from worker import sandbox
from worker.sandbox.walls import KINDS

SCRIPT = Path(__file__).with_name("escapes.py")
HELPERS = {"call", "syscall", "fail", "fail_unless_outside", "outcome"}
ATTEMPTS = [
    node.name
    for node in ast.parse(SCRIPT.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name not in HELPERS
]


@pytest.fixture(scope="module", params=KINDS)
def achieved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each attempt achieved behind one kind of wall."""
    return _try_everything(require_wall(request.param), tmp_path_factory.mktemp("escape"))


def _try_everything(wall: sandbox.Wall, folder: Path) -> dict[str, str]:
    data, readable = folder / "data", folder / "readable"
    data.mkdir()
    readable.mkdir()
    (folder / "scratch").mkdir()
    (data / "secret.key").write_text("the secret key")
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        given = _given(wall, folder) | {"bystander": bystander.pid}
        with _Listeners(folder) as (port, unix, abstract):
            outcome = _run(wall, readable, given | {"port": port, "unix": unix, "abstract": abstract})
        assert outcome.exit_code == 0, outcome
        assert bystander.poll() is None, "the bystander was killed"
    finally:
        bystander.kill()
        bystander.wait()
    assert sorted(path.name for path in data.iterdir()) == ["secret.key"]
    assert not list(readable.iterdir())
    results: dict[str, str] = json.loads(outcome.stdout)
    return results


def _given(wall: sandbox.Wall, folder: Path) -> dict[str, object]:
    return {
        "data": str(folder / "data"),
        "secret": str(folder / "data" / "secret.key"),
        "readable": str(folder / "readable"),
        "scratch": str(folder / "scratch"),
        "home": str(Path.home()),
        "home_names": [name for name in os.listdir(Path.home()) if name != ".pyenv"],
        "parent": os.getpid(),
        "canary": "canary-in-the-environment",
        "private_pids": wall.kind != "landlock",
        "private_tmp": wall.kind != "landlock",
    }


def _run(wall: sandbox.Wall, readable: Path, given: dict[str, object]) -> sandbox.Outcome:
    os.environ["SLIPWAY_CANARY"] = str(given["canary"])
    try:
        return sandbox.run(
            [sys.executable, "-I", SCRIPT, json.dumps(given)],
            readable=[SCRIPT, readable],
            writable=[readable.with_name("scratch")],
            limits=sandbox.Limits(memory_bytes=1 << 30, seconds=30),
            wall=wall,
        )
    finally:
        del os.environ["SLIPWAY_CANARY"]


class _Listeners:
    """Real listeners that would answer whoever gets through."""

    def __init__(self, folder: Path) -> None:
        self.inet = socket.create_server(("127.0.0.1", 0))
        self.unix, self.abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.path, self.name = str(folder / "s"), f"\0slipway-{os.getpid()}"

    def __enter__(self) -> tuple[int, str, str]:
        for server, address in ((self.unix, self.path), (self.abstract, self.name)):
            server.bind(address)
            server.listen()
        return self.inet.getsockname()[1], self.path, self.name

    def __exit__(self, *_: object) -> None:
        for server in (self.inet, self.unix, self.abstract):
            server.close()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attempt_achieves_nothing(achieved: dict[str, str], attempt: str) -> None:
    assert achieved[attempt].startswith("refused")


def test_the_strongest_wall_is_the_first_that_works() -> None:
    assert sandbox.strongest() == next(iter(sandbox.available()), None)
