"""Our own wall: a process in namespaces of its own, with a root that holds only what it was given.

The same construction as bubblewrap's, for machines that allow user namespaces but have no bubblewrap. Needs Linux
5.12 (``mount_setattr``); where a step is refused the launcher fails, and the wall counts as absent.
"""

import contextlib
import ctypes
import os
import signal
import stat
import struct
from typing import Any, NoReturn

from . import libc, privileges

_NEW_USER, _NEW_MOUNTS, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x00020000, 0x20000000, 0x40000000
_NEW_IPC, _NEW_HOST_NAME, _NEW_CGROUP = 0x08000000, 0x04000000, 0x02000000
_ALL_NEW = _NEW_USER | _NEW_MOUNTS | _NEW_PIDS | _NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME | _NEW_CGROUP
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PR_SET_PDEATHSIG = 1
_NOBODY = 65534
_OLD = "/.old"
DEVICES = ("null", "zero", "full", "random", "urandom")


def enter(plan: dict[str, Any]) -> None:
    """Return as process 1 of new namespaces; the calling process waits for that one and ends with it."""
    user, group = os.geteuid(), os.getegid()
    libc.unshare(_ALL_NEW)
    _map_to_nobody(user, group)
    _die_with_parent()
    pid = os.fork()
    if pid:
        _wait_for(pid, plan)
    _die_with_parent()
    _build_root(plan)
    privileges.drop_capabilities()


def _map_to_nobody(user: int, group: int) -> None:
    for name, line in (("setgroups", "deny"), ("uid_map", f"{_NOBODY} {user} 1"), ("gid_map", f"{_NOBODY} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def _die_with_parent() -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for(pid: int, plan: dict[str, Any]) -> NoReturn:
    """Hold nothing open meanwhile: the end of the program must be seen as the end of its pipes."""
    for number in {0, 1, plan["report"], plan["lifeline"], *plan["keep"]} - {None}:
        os.close(number)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _build_root(plan: dict[str, Any]) -> None:
    libc.mount("", "/", flags=_PRIVATE | _RECURSIVE)
    libc.mount("tmpfs", "/tmp", "tmpfs", _NO_SUID | _NO_DEVICES, "mode=0755,size=1m")
    os.mkdir(f"/tmp{_OLD}")
    libc.syscall(_PIVOT_ROOT[libc.MACHINE], b"/tmp", f"/tmp{_OLD}".encode())
    os.chdir("/")
    _make_scratch("/tmp", plan["scratch_bytes"])
    _make_devices()
    _mount_proc()
    places = [(*pair, True) for pair in plan["readable"]] + [(*pair, False) for pair in plan["writable"]]
    for source, place, is_read_only in sorted(places, key=lambda each: each[1].count("/")):
        _bind(source, place, _NO_SUID | _NO_DEVICES | (_READ_ONLY if is_read_only else 0))
    libc.unmount(_OLD, _DETACH)
    os.rmdir(_OLD)
    libc.mount("", "/", flags=_REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)


def _make_scratch(place: str, size: int) -> None:
    os.makedirs(place, exist_ok=True)
    libc.mount("tmpfs", place, "tmpfs", _NO_SUID | _NO_DEVICES, f"mode=1777,size={size}")


def _make_devices() -> None:
    os.mkdir("/dev")
    for name in DEVICES:
        _bind(f"/dev/{name}", f"/dev/{name}", _NO_SUID)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")
    _make_scratch("/dev/shm", 64 << 20)


def _mount_proc() -> None:
    """Inside most containers a fresh /proc is refused; then there is none, which hides the others just as well."""
    os.mkdir("/proc")
    with contextlib.suppress(PermissionError):
        libc.mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)


def _bind(source: str, place: str, attributes: int) -> None:
    """Show ``source`` of the old root at ``place`` of the new one, submounts included."""
    old = _OLD + source
    if stat.S_ISDIR(os.stat(old).st_mode):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not os.path.lexists(place):
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    libc.mount(old, place, flags=_BIND | _RECURSIVE)
    values = struct.pack("=QQQQ", attributes, 0, 0, 0)
    libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, place.encode(), _AT_RECURSIVE, ctypes.create_string_buffer(values, 32), 32)
