"""gunicorn's settings for a server that lets a silent connection go after three seconds instead of thirty."""

from typing import Any


def post_worker_init(worker: Any) -> None:
    # Only now has the worker set Django up.
    from apps.library import tus

    tus.SILENCE_SECONDS = 3.0
