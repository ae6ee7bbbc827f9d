"""``manage.py`` before there is an environment: what it can run on, what it says, and when it works anew."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import manage
from tests.controlplane.running import ROOT

LOCK = (
    'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "bare"\nversion = "0"\nsource = { virtual = "." }\n'
)
PROJECT = '[project]\nname = "bare"\nversion = "0"\nrequires-python = ">=3.11"\n[dependency-groups]\ndev = []\n'
PREPARE = "import manage, sys; print(manage.prepare(len(sys.argv) > 1))"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone without packages to install, so that the real tools are done with it in a moment."""
    (tmp_path / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    (tmp_path / "uv.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return tmp_path


def prepare(clone: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREPARE, *arguments]
    environment = {**os.environ, "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}  # uv came with our packages
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=clone, env=environment, text=True, **pipes)


def test_old_python_can_read_it_and_no_package_is_needed() -> None:
    tree = ast.parse((ROOT / "manage.py").read_text(), feature_version=(3, 7))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_environment_is_made_once_and_again_when_the_lock_changes(bare: Path) -> None:
    output, errors = prepare(bare).communicate(timeout=60)
    assert output == "True\n", errors
    assert "Installing packages into .venv" in errors
    assert prepare(bare).communicate(timeout=60)[0] == "False\n"
    (bare / "uv.lock").write_text(LOCK + "\n")
    assert prepare(bare).communicate(timeout=60)[0] == "True\n"


def test_environment_with_test_tools_also_serves_without_them(bare: Path) -> None:
    assert prepare(bare, "with tests").communicate(timeout=60)[0] == "True\n"
    assert prepare(bare).communicate(timeout=60)[0] == "False\n"
    assert json.loads((bare / ".venv" / "slipway.json").read_text())["dev"] is True


def test_two_starts_at_once_prepare_one_environment(bare: Path) -> None:
    outcomes = [process.communicate(timeout=60) for process in [prepare(bare), prepare(bare)]]
    assert sum("Installing packages" in errors for _, errors in outcomes) == 1


def test_lock_file_that_is_no_lock_file_ends_in_one_line(bare: Path) -> None:
    (bare / "uv.lock").write_text("nonsense")
    _, errors = prepare(bare).communicate(timeout=60)
    assert "Slipway cannot start: " in errors.splitlines()[-1]
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("error: No space left on device (os error 28)", "disk is full"),
        ("error sending request for url: dns error: failed to lookup", "cannot be reached"),
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("not created successfully because ensurepip is not available.", "apt install python3-venv"),
        ("failed to create directory `.venv`: Permission denied (os error 13)", "cannot be written"),
    ],
)
def test_known_troubles_say_what_to_do(words: str, advice: str) -> None:
    assert advice in manage.explain(words)


def test_whole_suite_runs_on_two_processes_and_chosen_tests_on_one() -> None:
    assert manage.spread([]) == ["-n", "2", "--dist", "loadgroup"]
    assert manage.spread(["-x", "-q"]) == ["-n", "2", "--dist", "loadgroup"]
    assert manage.spread([f"{__file__}::test_anything"]) == []
    assert manage.spread(["-n", "4"]) == []
