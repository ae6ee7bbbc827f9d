"""The contracts of ``pyproject.toml``: who may import whom."""

import subprocess
import sys

from tests.house.sources import ROOT

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_imports_keep_the_contracts() -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
