"""What runs under ``up``: each part's command line, and how it is seen to be ready."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

WORKER = (
    "celery --quiet --app controlplane worker --pool threads --concurrency 4 --loglevel INFO "
    "--without-gossip --without-mingle --without-heartbeat"
)
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


def list_parts(root: Path, web_port: int, gateway_port: int, *, demo: bool) -> list[Part]:
    """Web, gateway and worker, in the order in which a person wants to read of them; the demonstration last."""
    python = (sys.executable, "-m")
    parts = [
        Part(
            "web",
            (*python, "gunicorn", "--config", str(root / "controlplane" / "web.py"), "controlplane.wsgi"),
            port=web_port,
        ),
        Part("gateway", (*python, "controlplane.gateway"), port=gateway_port),
        Part(
            "worker",
            (*python, *shlex.split(WORKER)),
            ready_word=" ready.",
        ),
    ]
    if demo:
        parts.append(Part("demo", (sys.executable, str(root / "manage.py"), "demo"), is_one_shot=True))
    return parts
