"""Which driver a kind of target has."""

from collections.abc import Callable
from pathlib import Path

from worker.drivers.base import Driver
from worker.drivers.docker_host.driver import DockerHostDriver
from worker.drivers.fake import FakeDriver
from worker.drivers.process import ProcessDriver
from worker.drivers.swarm.driver import SwarmDriver
from worker.errors import ToolError
from worker.specs import Message, TargetSpec, gettext_noop

DRIVERS: dict[str, Callable[[TargetSpec, Path], Driver]] = {
    "process": lambda target, home: ProcessDriver(home, target.config.get("address", "127.0.0.1")),
    "docker": lambda target, home: DockerHostDriver(target),
    "swarm": lambda target, home: SwarmDriver(target),
    "fake": lambda target, home: FakeDriver(target.name, home),
}


def open_driver(target: TargetSpec, home: Path) -> Driver:
    """The driver of this target; ToolError ``unknown_driver`` (permanent) names the kinds there are."""
    if target.kind not in DRIVERS:
        words = gettext_noop("There is no driver for targets of kind %(kind)s. Kinds here: %(known)s.")
        known = ", ".join(sorted(DRIVERS))
        raise ToolError(Message(words, {"kind": target.kind, "known": known}), kind="unknown_driver", permanent=True)
    return DRIVERS[target.kind](target, home)
