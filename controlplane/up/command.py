"""The story of ``up``: take the data folder, prepare, start, say when it is ready, watch, stop everything."""

import argparse
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from controlplane.up.logs import Logs, say
from controlplane.up.parts import Part, list_parts
from controlplane.up.processes import stop_marked
from controlplane.up.replicas import stop_replicas
from controlplane.up.supervision import Supervisor

READY_SECONDS = 120
PATIENT_ENDS = 3
LOOK_SECONDS = 0.1


class Trouble(Exception):
    """Why Slipway cannot start or go on, in a sentence for the person at the terminal."""


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code of the process."""
    parser = argparse.ArgumentParser(prog="manage.py up", description="Run Slipway on this machine.")
    parser.add_argument("--demo", action="store_true", help="with people, real models, releases and traffic")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        read_settings()
        with hold(settings.SLIPWAY_HOME):
            run(settings.BASE_DIR, settings.SLIPWAY_HOME, demo=options.demo)
    except Trouble as trouble:
        say(f"Slipway cannot run: {trouble}")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def read_settings() -> None:
    try:
        settings.SLIPWAY_HOME  # noqa: B018 - the first touch reads them all
    except (ImproperlyConfigured, ValueError) as error:
        raise Trouble(f"a SLIPWAY_… setting cannot be read: {error}.") from None
    except OSError as error:
        raise Trouble(f"the data folder cannot be used: {error.strerror}: {error.filename}.") from None


def run(root: Path, home: Path, *, demo: bool) -> None:
    """From nothing running to nothing running; returns only by an exception."""
    say(f"Slipway, with its data in {home}")
    if left := stop_marked(home, patience=5):
        say(f"  stopped {left} processes that an earlier start had left behind")
    parts = list_parts(settings, demo=demo)
    refuse_busy_port("SLIPWAY_WEB_PORT", settings.SLIPWAY_WEB_PORT)
    refuse_busy_port("SLIPWAY_GATEWAY_PORT", settings.SLIPWAY_GATEWAY_PORT)
    link = prepare(root, home)
    logs = Logs(home / "logs", parts)
    supervisor = Supervisor(root, home, parts)
    try:
        supervisor.start()
        wait_until_ready(parts, supervisor, logs)
        say(f"Slipway is ready: {settings.SLIPWAY_WEB_URL}")
        if link and not demo:
            say(f"First start: make the first administrator at {link} (works once, today)")
        say(f"Ctrl-C stops everything. Logs are in {home / 'logs'}")
        watch(supervisor, logs)
    finally:
        stop_everything(supervisor, home)


@contextlib.contextmanager
def hold(home: Path) -> Iterator[None]:
    """Own the data folder; refuse when another ``up`` does. The lock ends with the process, however that ends."""
    for name in ("run", "logs"):
        (home / name).mkdir(exist_ok=True)
    with (home / "run" / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Trouble(
                f"it already runs on {home} as process {file.read().strip() or '?'}. Stop that one, or choose another "
                "data folder and other ports: SLIPWAY_HOME, SLIPWAY_WEB_PORT, SLIPWAY_GATEWAY_PORT."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def refuse_busy_port(variable: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(f"port {port} is not free ({error.strerror}). Choose another one with {variable}.") from None


def prepare(root: Path, home: Path) -> str:
    """Bring database and static files up to date; the set-up link while there is nobody to sign in."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "controlplane.up.preparation"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    (home / "logs" / "preparation.log").write_text(done.stderr + done.stdout)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Trouble(f"preparing the database and the static files failed: {last} (see logs/preparation.log)")
    say(f"  database and static files are up to date   {time.monotonic() - begun:4.1f} s")
    return done.stdout.strip().rpartition("\n")[2]


def wait_until_ready(parts: list[Part], supervisor: Supervisor, logs: Logs) -> None:
    """Say of each part when it is ready, with its seconds."""
    begun = time.monotonic()
    waiting = [part for part in parts if not part.is_one_shot]
    while waiting:
        logs.show()
        seconds = time.monotonic() - begun
        for part in [part for part in waiting if is_ready(part, logs)]:
            say(f"  {part.name:8} {part.address:32}   {seconds:4.1f} s")
            waiting.remove(part)
        if not supervisor.is_alive():
            raise Trouble("the supervisor ended. See logs/supervisor.log in the data folder.")
        for name, count in logs.ends.items():
            if count >= PATIENT_ENDS:
                raise Trouble(f"{name} ends as soon as it is started. See logs/{name}.log in the data folder.")
        if seconds > READY_SECONDS:
            names = " and ".join(part.name for part in waiting)
            raise Trouble(f"no answer from {names} within {READY_SECONDS} s. See logs/ in the data folder.")
        time.sleep(LOOK_SECONDS)


def is_ready(part: Part, logs: Logs) -> bool:
    if not part.port:
        return part in logs.ready_words
    connection = HTTPConnection("127.0.0.1", part.port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()


def watch(supervisor: Supervisor, logs: Logs) -> None:
    """Show what goes wrong until somebody interrupts; a supervisor that was killed is replaced."""
    while True:
        time.sleep(LOOK_SECONDS * 5)
        logs.show()
        if not supervisor.is_alive():
            say("The supervisor was killed; everything is started again.")
            stop_marked(supervisor.home, patience=5)
            supervisor.start()


def stop_everything(supervisor: Supervisor, home: Path) -> None:
    """Stop the parts and what they left; a second Ctrl-C goes on waiting, since half a stop helps nobody."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    say("\nStopping …")
    supervisor.stop()
    stop_marked(home, patience=1)
    stop_replicas(home)
    say("Stopped.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
