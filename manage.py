#!/usr/bin/env python3
"""Run Slipway from a fresh clone: prepare ``.venv`` with the standard library alone, then go on inside it.

    python3 manage.py up [--demo]    everything on this machine, in the foreground
    python3 manage.py test [args]    the tests; arguments go to pytest
    python3 manage.py <command>      any command of Django

Written so that an old Python can read it, and say that it is too old.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Slipway needs Python 3.11 or newer; this is {}.{}. Try: python3.11 manage.py".format(*sys.version_info))

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "slipway.json"  # which lock file the packages in there came from
RELEASE = "{}.{}".format(*sys.version_info)

TROUBLES = {
    r"ensurepip is not available|No module named '?(venv|ensurepip)": f"Python {RELEASE} has no venv module here. "
    "On Debian or Ubuntu: apt install python3-venv",
    r"No space left|[Ee]rrno 28|os error 28": "the disk is full. Free about 2 GB, then run this again",
    r"Permission denied|Read-only file system": f"{VENV} cannot be written. Use a clone that you own",
    r"UnknownIssuer|(?i:certificate.verify)": "the package index's certificate is not trusted here. "
    "Name your CA bundle in SSL_CERT_FILE (for pip: PIP_CERT)",
    r"(?i:dns error|connect|timed out|network|sending request|no matching distribution|proxy)": "the package index "
    "cannot be reached. Check the network, or the proxy in HTTPS_PROXY",
}


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    try:
        enter_environment(with_tests=command in {"test", "translations"})
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"Slipway cannot start: {error.strerror}: {error.filename}.")
    run(command, sys.argv[2:])


def enter_environment(with_tests: bool) -> None:
    """Return only inside an environment that has everything; otherwise make it so and start again in there."""
    if is_inside_complete_environment(with_tests):
        return
    synced = prepare(with_tests)
    if synced or not is_inside_venv():
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "manage.py"), *sys.argv[1:]])


def run(command: str, arguments: list[str]) -> None:
    """Carry out ``command``; what it imports is there only now, inside the environment."""
    if command == "test":
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile everything anew
        os.chdir(ROOT)  # ``up`` compiles beside the running product; tests would wait for it again and again
        step("Compiling what only sandboxes import", [sys.executable, "-m", "controlplane.up.bytecode"])
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *spread(arguments), *arguments])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    if command == "up":
        from controlplane.up.command import main as up

        sys.exit(up(arguments))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def spread(arguments: list[str]) -> list[str]:
    """Two processes for the whole suite; one for chosen tests, a debugger, or who says otherwise."""
    chosen = any(Path(argument.split("::")[0]).exists() for argument in arguments)
    if chosen or any(argument.startswith(("-n", "--num", "--pdb", "--trace")) for argument in arguments):
        return []
    return ["-n", "2", "--dist", "loadgroup"]


def is_inside_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def is_inside_complete_environment(with_tests: bool) -> bool:
    """Whether somebody else's environment (an image, ``uv run``) runs us and has every package by name."""
    if sys.prefix == sys.base_prefix or is_inside_venv():
        return False
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if with_tests else [])
    names = [re.match(r"[\w.-]+", line).group() for line in wanted]
    try:
        return all(importlib.metadata.version(name) for name in names)
    except importlib.metadata.PackageNotFoundError:
        return False


def prepare(with_tests: bool) -> bool:
    """Bring ``.venv`` to what ``uv.lock`` says; True when something had to be done. One process at a time."""
    if is_fresh(with_tests):
        return False
    folder = os.open(ROOT, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(folder, fcntl.LOCK_EX)
    if not is_fresh(with_tests):
        STAMP.unlink(missing_ok=True)
        uv = find_uv() or install_uv()
        interpreter = PYTHON if is_usable(PYTHON) else sys.executable
        groups = [] if with_tests else ["--no-dev"]
        step(
            f"Installing packages into {VENV.name}",
            [uv, "sync", "--frozen", "--inexact", "--quiet", "--python", interpreter, *groups],
        )
        STAMP.write_text(json.dumps({"lock": lock_digest(), "dev": with_tests}))
    os.close(folder)
    return True


def is_fresh(with_tests: bool) -> bool:
    """Packages come from the present lock file, for this Python; those with tests also serve without."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return False
    return PYTHON.exists() and stamp["lock"] == lock_digest() and (stamp["dev"] or not with_tests)


def lock_digest() -> str:
    return hashlib.sha256((ROOT / "uv.lock").read_bytes() + RELEASE.encode()).hexdigest()


def find_uv() -> str | None:
    candidates = [shutil.which("uv"), str(VENV / "bin" / "uv")]
    return next((path for path in candidates if path and answers([path, "--version"])), None)


def install_uv() -> str:
    """uv as the lock file has it, by pip, into a new ``.venv``."""
    if not is_usable(PYTHON) or not answers([PYTHON, "-m", "pip", "--version"]):
        step(f"Making {VENV.name} with Python {RELEASE}", [sys.executable, "-m", "venv", "--clear", VENV])
    version = re.search(r'name = "uv"\nversion = "(.+?)"', (ROOT / "uv.lock").read_text())
    requirement = f"uv=={version.group(1)}" if version else "uv"
    step("Installing uv", [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])
    return str(VENV / "bin" / "uv")


def is_usable(python: Path) -> bool:
    return answers([python, "-c", f"import sys; sys.exit('{RELEASE}' != '%d.%d' % sys.version_info[:2])"])


def answers(command: list[str | Path]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def step(label: str, command: list[str | Path]) -> None:
    """Run one part of the preparation under a line that ends in its seconds; end with one line when it fails."""
    print(f"{label} …", end="", file=sys.stderr, flush=True)
    begun = time.monotonic()
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(f" {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    if done.returncode:
        sys.exit(f"Slipway cannot start: {explain(done.stderr + done.stdout)}")


def explain(output: str) -> str:
    """What to do about a tool's failure: a sentence for the known troubles, else the tool's own last words."""
    for pattern, sentence in TROUBLES.items():
        if re.search(pattern, output):
            return f"{sentence}."
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{lines[-1]}." if lines else "a command failed without a word."


if __name__ == "__main__":
    main()
