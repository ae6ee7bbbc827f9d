"""Reads the plan, enters the wall that is ours to build, and hands over to the warden."""

import json
import os
import sys
from typing import Any

from . import namespaces, warden


def main() -> None:
    """Carry out the plan given as JSON in the last argument.

    Keys: ``wall``; ``argv``, ``env``, ``cwd``; ``readable`` and ``writable`` (pairs of source and place behind the
    wall); ``limits``; ``keep`` (inherited file descriptors); ``report`` and ``lifeline`` (descriptors or null);
    ``grace`` (seconds between SIGTERM and SIGKILL); ``strict_memory`` (limit address space, not only data).
    """
    plan: dict[str, Any] = json.loads(sys.argv[1])
    _close_others(plan)
    if plan["wall"] == "namespaces":
        namespaces.enter(plan)
    warden.guard(plan)


def _close_others(plan: dict[str, Any]) -> None:
    """Close whatever was inherited by accident: an open file of the worker would be a hole in any wall."""
    wanted = sorted({0, 1, 2, *plan["keep"], plan["report"], plan["lifeline"]} - {None})
    for low, high in zip(wanted, [*wanted[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, high)
