"""Landlock: from here on this process reaches only the paths it was given, and no network.

Numbers and structures: Linux ``include/uapi/linux/landlock.h``; each interface version adds rights to handle.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from . import libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_OF_FIRST_VERSION = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_AND_CONNECT_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3

# What numeric libraries ask about the machine, and what every program opens. Of /proc only the process's own folder.
ALWAYS_READABLE = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",
)  # fmt: skip


def version() -> int:
    """The interface version of this kernel; 0 where there is no Landlock."""
    try:
        return libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(*, readable: Iterable[str], writable: Iterable[str], required: bool) -> bool:
    """Confine this process and all it will start; true where signals to the outside are refused as well.

    Without Landlock this is an error where it is ``required`` and nothing where another wall stands already.
    """
    abi = version()
    if not abi and not required:
        return False
    rights = _rights(abi)
    ruleset = _ruleset(abi, rights)
    for path in (*ALWAYS_READABLE, *readable):
        _allow(ruleset, path, rights & (_EXECUTE | _READ_FILE | _READ_DIR))
    for path in ("/dev/null", *writable):
        _allow(ruleset, path, rights & ~_IOCTL_DEV)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return abi >= 6


def _rights(abi: int) -> int:
    return (
        _ALL_OF_FIRST_VERSION
        | (_REFER if abi >= 2 else 0)
        | (_TRUNCATE if abi >= 3 else 0)
        | (_IOCTL_DEV if abi >= 5 else 0)
    )


def _ruleset(abi: int, rights: int) -> int:
    attributes = struct.pack("=QQQ", rights, _BIND_AND_CONNECT_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    return libc.syscall(_CREATE_RULESET, ctypes.create_string_buffer(attributes[:size], size), size, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(place)
