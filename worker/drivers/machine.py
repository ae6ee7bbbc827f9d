"""What this machine has and what a process on it uses, read from /proc."""

import os
import shutil
from pathlib import Path

from worker.specs import Node

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def this_node(home: Path) -> Node:
    memory = _memory()
    return Node(
        name=os.uname().nodename,
        state="ready",
        cpus=float(len(os.sched_getaffinity(0))),
        memory_bytes=memory["MemTotal"],
        memory_free_bytes=memory["MemAvailable"],
        disk_free_bytes=shutil.disk_usage(home).free,
        gpus=tuple({"name": name} for name in _gpus()),
        load=os.getloadavg()[0],
    )


def last_descendant(pid: int) -> int:
    """The process at the end of a chain of only children: below a supervisor that is the walled program."""
    while children := _children(pid):
        pid = children[0]
    return pid


def chain(pid: int) -> list[int]:
    """A process and everything below it, deepest last."""
    found = [pid]
    for each in found:
        found += _children(each)
    return found


def usage(pid: int) -> tuple[float, int]:
    """Seconds of processor time and resident bytes of one process; OSError once it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / _TICKS, resident * _PAGE


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _memory() -> dict[str, int]:
    lines = (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return {name: int(value.split()[0]) * 1024 for name, value in lines}


def _gpus() -> list[str]:
    """The models of NVIDIA cards, as their kernel driver names them."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for card in cards for line in card.read_text().splitlines()]
    return [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
