"""What is on disk about one replica of this machine.

``replica.json`` is written before anything is started, ``pid`` by the supervisor, ``exit.json`` at the end. The
supervisor holds a lock on ``lock`` for as long as it lives: unlike a process id, a lock is never handed on to a
stranger, and nobody has to tidy it up.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.errors import ToolError
from worker.specs import Message, gettext_noop

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Replica:
    """What was started; everything a later worker needs to take it over."""

    name: str
    labels: dict[str, str]
    digest: str
    address: str
    started_at: float
    wall: str


class Folder:
    """The folder of one replica below the driver's home; it need not exist."""

    def __init__(self, home: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            words = gettext_noop('"%(name)s" cannot be the name of a replica: use a-z, 0-9, dot, dash and underscore.')
            raise ToolError(Message(words, {"name": name[:200]}), kind="bad_name", permanent=True)
        self.name = name
        self.path = home / "replicas" / name

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def secret(self) -> Path:
        return self.path / "secret"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    def make(self, replica: Replica, secret: str) -> None:
        """Lay out the folder of a new replica. The secret is readable by its owner alone, from the start."""
        self.scratch.mkdir(parents=True)
        self.path.chmod(0o700)
        with open(os.open(self.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret)
        draft = self.path / "replica.json.new"
        draft.write_text(json.dumps(asdict(replica)))
        draft.rename(self.path / "replica.json")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def read(self) -> Replica | None:
        """What was started here; None where nothing was, or a start was cut off before it began."""
        data = self._json("replica.json")
        return Replica(**data) if data else None

    def ending(self) -> dict[str, Any]:
        """The warden's report; empty where nobody lived to write it."""
        return self._json("exit.json")

    def pids(self) -> tuple[int, int] | None:
        """The supervisor and its child; they mean something only while the replica lives."""
        with contextlib.suppress(OSError, ValueError):
            supervisor, child = (self.path / "pid").read_text().split()
            return int(supervisor), int(child)
        return None

    def lives(self) -> bool:
        """Whether the supervisor holds its lock."""
        try:
            with (self.path / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def wait_until_dead(self, seconds: float) -> bool:
        """True as soon as the supervisor has let go of its lock, false once the time is over."""
        deadline = time.monotonic() + seconds
        while self.lives():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    @contextlib.contextmanager
    def own(self) -> Iterator[int]:
        """The lock as a descriptor to hand to a supervisor; closing ours does not release it while theirs is open."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()

    def _json(self, name: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return data


@contextlib.contextmanager
def exclusive(home: Path, name: str) -> Iterator[None]:
    """One start or stop of a name at a time, whichever worker it comes from."""
    locks = home / "replicas" / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / Folder(home, name).name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def every_folder(home: Path) -> list[Folder]:
    try:
        names = sorted(path.name for path in (home / "replicas").iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []
    return [Folder(home, name) for name in names]
