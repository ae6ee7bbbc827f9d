"""What runs under ``up``: each part's command line, and how it is seen to be ready."""

import sys
from dataclasses import dataclass

from django.conf import LazySettings

WEB = "gunicorn --config python:controlplane.web controlplane.wsgi"
GATEWAY = "controlplane.gateway"
WORKER = (
    "celery --quiet --skip-checks --app controlplane worker --pool threads --concurrency 4 --loglevel INFO "
    "--without-gossip --without-mingle --without-heartbeat"
)
CLOCK = "celery --quiet --skip-checks --app controlplane beat --loglevel INFO"
STOP_SECONDS = 12


@dataclass(frozen=True)
class Part:
    """One supervised process: ready when ``/healthz`` on its port answers, or when its log says ``ready_word``."""

    name: str
    command: tuple[str, ...]
    port: int = 0
    ready_word: str = ""
    is_one_shot: bool = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.port else "ready"


def list_parts(settings: LazySettings, *, demo: bool) -> list[Part]:
    """Web, gateway and worker, in the order in which a person wants to read of them; the demonstration last.

    With a broker the clock is a process of its own; without, it ticks inside the one worker.
    """
    parts = [
        Part("web", _module(WEB), settings.SLIPWAY_WEB_PORT),
        Part("gateway", _module(GATEWAY), settings.SLIPWAY_GATEWAY_PORT),
        Part("worker", _module(WORKER), ready_word=" ready."),
    ]
    if not settings.SLIPWAY_EMBEDDED:
        diary = str(settings.SLIPWAY_HOME / "run" / "clock")
        parts.append(Part("clock", (*_module(CLOCK), "--schedule", diary), ready_word="beat: Starting"))
    parts.append(Part("bytecode", _module("controlplane.up.bytecode --yielding"), is_one_shot=True))
    if demo:
        parts.append(Part("demo", _module("controlplane.demo"), is_one_shot=True))
    return parts


def _module(line: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *line.split())
