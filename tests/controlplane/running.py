"""``manage.py up`` as a person starts it: a real process, its output, its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120
STOP_SECONDS = 40


class Up:
    """One start on its own data folder and ports; everything it prints is in ``lines``."""

    def __init__(
        self,
        home: Path,
        *options: str,
        web_port: int,
        gateway_port: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.web_port, self.gateway_port = home, web_port, gateway_port
        self.lines: list[str] = []
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts behind
            signal.signal(signal.SIGINT, signal.default_int_handler)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "DJANGO_"))}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", *options],
            cwd=home.parent,
            env=inherited
            | {
                "SLIPWAY_HOME": str(home),
                "SLIPWAY_WEB_PORT": str(web_port),
                "SLIPWAY_GATEWAY_PORT": str(gateway_port),
                **(settings or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_until_ready(self) -> None:
        self.wait_for("Slipway is ready", READY_SECONDS)

    def wait_for(self, text: str, seconds: float) -> None:
        """Return when ``text`` was printed; the output so far is the failure's message."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, seconds, what=text)
        assert text in self.output, self.output

    def find_pid(self, part: str) -> int:
        """The process id that the supervisor gave the part last."""
        log = (self.home / "logs" / "supervisor.log").read_text()
        return int(re.findall(rf"spawned: '{part}' with pid (\d+)", log)[-1])

    def interrupt(self, signal_number: signal.Signals = signal.SIGINT) -> int:
        """What Ctrl-C does; the exit code."""
        self.process.send_signal(signal_number)
        return self.finish()

    def finish(self) -> int:
        code = self.process.wait(STOP_SECONDS)
        self.reader.join(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


def wait_until(condition: Callable[[], object], seconds: float, *, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
