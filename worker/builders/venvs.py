"""The virtual environment of one lock: built once, in its final place, under a lock of its own.

Virtual environments cannot be moved, so there is no "build beside and rename": a marker written last says that one is
complete, and whatever lacks it is removed and built again.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.builders.base import BuildSettings
from worker.builders.locking import run_uv, write_whole

_MARKER = ".complete"


def lock_digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_complete(environment: Path) -> bool:
    """Whether it was built to its end and its interpreter, which lies outside, is still there."""
    return (environment / _MARKER).exists() and (environment / "bin" / "python").exists()


def ensure_environment(lock: Path, home: Path, settings: BuildSettings) -> Path:
    """The environment of this lock below ``home/environments``, built now if it has to be."""
    environment = home / "environments" / lock_digest(lock)
    if is_complete(environment):
        return environment
    environment.parent.mkdir(parents=True, exist_ok=True)
    with only_one(environment.with_suffix(".lock")):
        if not is_complete(environment):
            _build(environment, lock, settings)
    return environment


def _build(environment: Path, lock: Path, settings: BuildSettings) -> None:
    if environment.exists():
        shutil.rmtree(environment)
    folder = environment.parent
    interpreter = os.path.realpath(sys.executable)
    run_uv(["venv", "--no-project", "--python", interpreter, str(environment)], settings, folder=folder)
    # Replicas see the environment read-only: without compiled files each start would compile everything anew.
    words = ["pip", "sync", "--require-hashes", "--only-binary", ":all:", "--compile-bytecode", "--python"]
    run_uv([*words, str(environment / "bin" / "python"), str(lock)], settings, folder=folder)
    write_whole(environment / _MARKER, lock.name)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Held by one process at a time and let go when that process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
