"""Builds for this machine: a locked virtual environment, shared by all that need the same packages, and a bundle."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from worker import sandbox
from worker.builders.base import Builder, BuildSettings, Tell, keep_quiet
from worker.builders.bundles import pack_bundle
from worker.builders.locking import lock, pin
from worker.builders.replaying import NO_WALL, replay_once
from worker.builders.venvs import ensure_environment, lock_digest
from worker.errors import ToolError
from worker.specs import BuildResult, BuildSpec, Message, Step, gettext_noop


class EnvironmentBuilder(Builder):
    """Leaves ``locks/``, ``environments/<lock digest>/``, ``bundles/<digest>/`` and ``replays/`` below its home."""

    def __init__(self, settings: BuildSettings | None = None) -> None:
        self.settings = settings or BuildSettings()

    def build(self, spec: BuildSpec, home: Path, tell: Tell = keep_quiet) -> BuildResult:
        try:
            return self._build(spec, home.resolve())
        except OSError as error:
            words = gettext_noop("The build could not be stored: %(reason)s. Make room, then build again.")
            raise ToolError(Message(words, {"reason": error.strerror or str(error)}), kind="storage") from error

    def _build(self, spec: BuildSpec, home: Path) -> BuildResult:
        steps: list[Step] = []
        pins = pin(spec.requirements)
        lock_file = _timed(steps, "lock", lambda: lock(pins, home, self.settings))
        environment = _timed(steps, "environment", lambda: ensure_environment(lock_file, home, self.settings))
        digest, bundle = _timed(steps, "bundle", lambda: pack_bundle(spec, home))
        self._replay(steps, bundle, environment, home)
        return BuildResult(digest, str(bundle), str(environment), lock_digest(lock_file), tuple(steps))

    def _replay(self, steps: list[Step], bundle: Path, environment: Path, home: Path) -> None:
        """Without a wall only the replica compares, when it starts."""
        if not sandbox.strongest():
            steps.append(Step("golden", 0.0, Message(NO_WALL)))
            return
        started = time.monotonic()
        detail = replay_once(bundle, environment, home)
        steps.append(Step("golden", time.monotonic() - started, detail))


Result = TypeVar("Result")
_DETAILS = {
    "lock": gettext_noop("Exact versions and hashes of every package"),
    "environment": gettext_noop("The packages, installed by hash"),
    "bundle": gettext_noop("Runtime, model and manifest, named by their digest"),
}


def _timed(steps: list[Step], name: str, work: Callable[[], Result]) -> Result:
    started = time.monotonic()
    result = work()
    steps.append(Step(name, time.monotonic() - started, Message(_DETAILS[name])))
    return result
