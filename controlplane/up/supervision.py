"""The supervisor: its configuration, its life, and what its own log says of the parts."""

import ctypes
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from controlplane.up.parts import STOP_SECONDS, Part
from controlplane.up.processes import MARK

PR_SET_PDEATHSIG = 1
# Paths are relative to the data folder, where the supervisor runs: it expands "%" in some of them twice.
HEAD = """\
[supervisord]
logfile=logs/supervisor.log
logfile_maxbytes=2MB
logfile_backups=1
pidfile=run/supervisor.pid
childlogdir=logs
identifier=slipway
silent=true
{user}
[group:slipway]
programs={names}
"""
PROGRAM = """
[program:{name}]
command={command}
directory={root}
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
redirect_stderr=true
autorestart={autorestart}
startsecs={start_seconds}
startretries=1000000
stopwaitsecs={stop_seconds}
killasgroup=true
"""
ENDED = re.compile(r"exited: (\w+) \((.+?)(; not expected|; expected)?\)$")


@dataclass(frozen=True)
class End:
    """A part that ended, and how: ``SIGKILL``, ``exit status 1``."""

    part: str
    reason: str


class Supervisor:
    """supervisord with the parts as its programs; it ends, and they with it, when ``up`` dies in whatever way."""

    def __init__(self, root: Path, home: Path, parts: list[Part]) -> None:
        self.home = home
        self.config = home / "run" / "supervisor.conf"
        self.config.write_text(_write_config(root, parts))

    def start(self) -> None:
        environment = {**os.environ, MARK: str(self.home), "SLIPWAY_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(self.config)],
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is ours to pass on
            preexec_fn=_die_with_parent,
        )

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Let every part end by itself, all at once; the supervisor kills those that take too long."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS + 3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def read_end(line: str) -> End | None:
    """What the supervisor's log line says of a part that ended though it should not have; None for other lines."""
    found = ENDED.search(line)
    if found is None or found[3] == "; expected":
        return None
    return End(found[1], found[2].removeprefix("terminated by "))


def _write_config(root: Path, parts: list[Part]) -> str:
    head = HEAD.format(
        names=",".join(part.name for part in parts),
        user="user=root\n" if os.geteuid() == 0 else "",  # said aloud, root is no reason for a warning
    )
    programs = [
        PROGRAM.format(
            name=part.name,
            command=_escape(shlex.join(part.command)),
            root=_escape(root),
            autorestart="unexpected" if part.is_one_shot else "true",
            start_seconds=0 if part.is_one_shot else 1,  # what is soon done has not failed
            stop_seconds=STOP_SECONDS,
        )
        for part in parts
    ]
    return head + "".join(programs)


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")


def _die_with_parent() -> None:
    """SIGTERM for this process when the one that started it ends, be it by SIGKILL (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
