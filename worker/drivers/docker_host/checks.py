"""What a look at the hosts found, line by line: the first thing to read when something does not run."""

import time
from collections.abc import Iterator

from worker.drivers.docker_host.engine import Engine
from worker.drivers.docker_host.figures import Figures, look
from worker.errors import ToolError
from worker.specs import CheckLine, ImageSource, Message, gettext_noop

OLDEST = (20, 10)
ENOUGH_DISK = 5 << 30  # an image with its packages, and room for the next one
SLOW_SECONDS = 1.0
_GIB = 1 << 30
# What keeps every image from the host; that the registry has lost this one says nothing about others.
_NO_IMAGES = frozenset({"registry_untrusted", "registry_away", "pull_denied", "disk_full"})

_ANSWERS = gettext_noop("Docker %(version)s answers in %(ms)s ms")
_SLOW = gettext_noop("Docker %(version)s answers, but takes %(ms)s ms: look at the network, or at what keeps it busy")
_OLD = gettext_noop("Docker %(version)s is too old; 20.10 is the oldest that can be used. Upgrade it.")
_HAS = gettext_noop("%(cpus)s processors, %(gib)s GiB of memory")
_DISK = gettext_noop("%(gib)s GiB of disk free")
_LITTLE_DISK = gettext_noop("only %(gib)s GiB of disk free: images may not fit. Free some (docker image prune).")
_UNSEEN = gettext_noop(
    "free disk and memory are seen from inside a container, once there is an image: the first one that is built for any"
    " target is fetched for it by itself"
)
_NO_FILTER = gettext_noop(
    "The engine filters no system calls (seccomp is off), so containers could not be held. Use an engine with seccomp."
)
_NO_LIMIT = gettext_noop("The machine cannot hold containers to their limits: %(warning)s. Turn on its memory cgroup.")
_GPUS = gettext_noop("%(count)s GPUs: %(names)s")
_NO_GPU = gettext_noop("no GPU, and none is asked for")
_GPUS_LISTED = gettext_noop("%(count)s GPUs, as Docker lists them: %(names)s")
_GPUS_UNSEEN = gettext_noop(
    "it has a runtime for GPUs; which ones is seen with free disk and memory, once there is an image"
)
_GPUS_GONE = gettext_noop(
    "It has a runtime for GPUs, but no GPU answers in it. Look at the driver there: nvidia-smi on the machine itself."
)


def inspect(engine: Engine, eyes: ImageSource | None = None) -> tuple[list[CheckLine], Figures]:
    """All lines of one host, named after it, and the figures behind them."""
    engine.get("/_ping")  # the way there has to be opened first: over SSH that alone may take a second
    begun = time.monotonic()
    engine.get("/version")
    seconds = time.monotonic() - begun
    figures = look(engine, eyes)
    return [CheckLine(engine.name, ok, message) for ok, message in _lines(figures, seconds)], figures


def away(name: str, error: ToolError) -> CheckLine:
    return CheckLine(name, False, error.message)


def _lines(figures: Figures, seconds: float) -> Iterator[tuple[bool, Message]]:
    yield _engine(figures, seconds)
    yield True, Message(_HAS, {"cpus": round(figures.cpus), "gib": round(figures.memory_bytes / _GIB)})
    yield _disk(figures)
    yield _gpus(figures)
    if figures.trouble is not None and figures.trouble.kind in _NO_IMAGES:
        yield False, figures.trouble.message
    if not any("seccomp" in option for option in figures.security):
        yield False, Message(_NO_FILTER)
    for warning in figures.warnings:
        if "No memory limit" in warning or "No pids limit" in warning:
            yield False, Message(_NO_LIMIT, {"warning": warning})


def _engine(figures: Figures, seconds: float) -> tuple[bool, Message]:
    params = {"version": figures.version, "ms": round(seconds * 1000)}
    if not is_new_enough(figures.version):
        return False, Message(_OLD, params)
    return seconds < SLOW_SECONDS, Message(_ANSWERS if seconds < SLOW_SECONDS else _SLOW, params)


def is_new_enough(version: str) -> bool:
    parts = version.split(".")[:2]
    return len(parts) == 2 and all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= OLDEST


def _disk(figures: Figures) -> tuple[bool, Message]:
    if figures.disk_free_bytes is None:
        return True, Message(_UNSEEN)
    is_enough = figures.disk_free_bytes >= ENOUGH_DISK
    return is_enough, Message(_DISK if is_enough else _LITTLE_DISK, {"gib": round(figures.disk_free_bytes / _GIB, 1)})


def _gpus(figures: Figures) -> tuple[bool, Message]:
    if figures.gpus:
        names = ", ".join(sorted({str(gpu["name"]) for gpu in figures.gpus}))
        return True, Message(_GPUS if figures.was_seen else _GPUS_LISTED, {"count": len(figures.gpus), "names": names})
    if not figures.has_gpu_runtime:
        return True, Message(_NO_GPU)
    return not figures.was_seen, Message(_GPUS_GONE if figures.was_seen else _GPUS_UNSEEN)
