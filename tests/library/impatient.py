"""gunicorn's settings for a server that lets a silent connection go after three seconds instead of thirty."""

from importlib import import_module
from typing import Any


def post_worker_init(worker: Any) -> None:
    """Only now has the worker set Django up."""
    import_module("apps.library.tus").SILENCE_SECONDS = 3.0  # type: ignore[attr-defined]
