"""The base image, where no registry of containers can be reached: a Debian root file system with Python, made once."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests.engines import require

BASE_IMAGE = "python:3.11-slim"  # what SLIPWAY_BASE_IMAGE is by default
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway-tests"


def base_tar() -> Path:
    """The file system as one tar: SLIPWAY_TEST_BASE_IMAGE_TAR, or made by debootstrap (75 s) and kept in the cache."""
    named = os.environ.get("SLIPWAY_TEST_BASE_IMAGE_TAR")
    if named:
        return Path(named)
    kept = _CACHE / "base.tar"
    if not kept.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        _make(require("debootstrap"), kept)
    return kept


def _make(debootstrap: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="slw-base-") as folder:
        root, half = f"{folder}/root", kept.with_suffix(f".{os.getpid()}")
        command = [debootstrap, "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        subprocess.run(["tar", "-C", root, "-cf", str(half), "."], check=True, capture_output=True, timeout=120)
        half.rename(kept)
