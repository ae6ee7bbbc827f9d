"""Gives up every right that the program behind the wall has no use for."""

import ctypes
import os
import resource
import struct
from typing import Any

from . import libc

_PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 28, 38, 47
_AMBIENT_CLEAR_ALL = 4
_NOROOT_LOCKED = 0x2F  # NOROOT, NO_SETUID_FIXUP and KEEP_CAPS off, each locked
_CAPABILITY_VERSION_3 = 0x20080522
_HEADROOM = 1 << 30  # what a server's threads may reserve beyond what they use
_CAPSET = {"x86_64": 126, "aarch64": 91}


def drop_capabilities() -> None:
    """Empty every capability set for good; being user 0 means nothing after this."""
    for number in range(64):
        _try(libc.prctl, _PR_CAPBSET_DROP, number)
    _try(libc.prctl, _PR_SET_SECUREBITS, _NOROOT_LOCKED)
    _try(libc.prctl, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    _try(os.setgroups, [])
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    libc.syscall(_CAPSET[libc.MACHINE], header, ctypes.create_string_buffer(24))


def refuse_new_privileges() -> None:
    """From here on no executed file can add rights (set-user-id bits are ignored)."""
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def limit_resources(limits: dict[str, Any], *, strict_memory: bool, own_users: bool) -> None:
    """Set the limits the kernel keeps by itself.

    A server maps far more address space than it uses (thread stacks, allocator arenas), so only short runs limit
    that; servers limit written data, and the warden looks at what is resident. ``own_users`` says that threads
    are counted within this sandbox alone: elsewhere RLIMIT_NPROC would count everything else the user runs. The
    kernel does not count for user 0 of the machine; there the warden alone does.
    """
    if strict_memory:
        _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    else:
        _limit(resource.RLIMIT_DATA, limits["memory_bytes"] + _HEADROOM)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    if limits["cpu_seconds"]:
        _limit(resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1)
    if own_users and _kernel() >= (5, 14):
        _limit(resource.RLIMIT_NPROC, limits["processes"] + 2)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    ceiling = resource.getrlimit(which)[1]
    if ceiling == resource.RLIM_INFINITY:
        ceiling = max(soft, hard or 0)
    resource.setrlimit(which, (min(soft, ceiling), min(soft if hard is None else hard, ceiling)))


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def _try(call: Any, *arguments: Any) -> None:
    """Without the capability that a step needs there is also nothing left for it to take away."""
    try:
        call(*arguments)
    except OSError:
        return
