"""The environment variables that the server reads, as one frozen value.

SLIPWAY_BUNDLE           the bundle's folder; the working folder by default
SLIPWAY_LISTEN           ``host:port``, or ``fd:N`` for a listening socket that was inherited
SLIPWAY_SECRET_FILE      a file with what every request but liveness has to show in ``X-Slipway-Secret``
SLIPWAY_RELEASE          named in the ``X-Slipway-Release`` header of every answer, and in metrics
SLIPWAY_REPLICA          named in metrics
SLIPWAY_MAX_BODY         bytes that a request's body may have, 64 MiB by default
SLIPWAY_DRAIN_SECONDS    how long requests may take to finish after SIGTERM, 10 by default
SLIPWAY_THREADS          threads that one run of the model may use, 1 by default
SLIPWAY_IDLE_SECONDS     how long a connection may be silent between requests, 75 by default
SLIPWAY_RECEIVE_SECONDS  how long the head of a request may take to arrive, 10 by default; a body three times that
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import StartError

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Where the bundle lies, where to listen, and the limits. Sizes are bytes, times seconds."""

    bundle: Path
    listen: str
    secret: bytes = field(repr=False)
    release: str
    replica: str
    max_body: int
    drain_seconds: float
    threads: int
    idle_seconds: float  # that a connection may be silent between requests
    receive_seconds: float  # that the head of a request may take to arrive


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the ``SLIPWAY_`` variables; ``StartError`` names the one that cannot be used."""
    return Settings(
        bundle=Path(environ.get("SLIPWAY_BUNDLE") or "."),
        listen=environ.get("SLIPWAY_LISTEN") or "127.0.0.1:8080",
        secret=_read_secret(environ.get("SLIPWAY_SECRET_FILE", "")),
        release=_read_label(environ, "SLIPWAY_RELEASE"),
        replica=_read_label(environ, "SLIPWAY_REPLICA"),
        max_body=int(_read_number(environ, "SLIPWAY_MAX_BODY", 64 * MEBIBYTE, least=1)),
        drain_seconds=_read_number(environ, "SLIPWAY_DRAIN_SECONDS", 10, least=0),
        threads=int(_read_number(environ, "SLIPWAY_THREADS", 1, least=1)),
        # Longer than proxies commonly keep a connection, so that they close first and no request is lost to the race.
        idle_seconds=_read_number(environ, "SLIPWAY_IDLE_SECONDS", 75, least=0.1),
        receive_seconds=_read_number(environ, "SLIPWAY_RECEIVE_SECONDS", 10, least=0.1),
    )


def _read_number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        raise StartError(f"{name} is {text!r}: it has to be a number") from None
    if not least <= number < float("inf"):
        raise StartError(f"{name} is {text!r}: it has to be at least {least}")
    return number


def _read_label(environ: Mapping[str, str], name: str) -> str:
    """Labels go into response headers, so nothing but visible ASCII may be in them."""
    text = environ.get(name, "")
    if not (text.isascii() and (text.isprintable() or not text)):
        raise StartError(f"{name} holds characters that a response header cannot carry")
    return text


def _read_secret(path: str) -> bytes:
    if not path:
        return b""
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise StartError(f"SLIPWAY_SECRET_FILE {path} cannot be read: {error.strerror}") from error
    if not secret:
        raise StartError(f"SLIPWAY_SECRET_FILE {path} is empty")
    return secret
