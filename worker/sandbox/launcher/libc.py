"""System calls that the standard library has no function for."""

import ctypes
import os
import platform

MACHINE = platform.machine()
_LIBC = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    """Make one system call; OSError carries its errno. Integers travel as longs, bytes and structures by address."""
    values = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *values))


def prctl(option: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_LIBC.prctl(option, *(ctypes.c_ulong(each) for each in padded)))


def unshare(flags: int) -> None:
    _checked(_LIBC.unshare(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    encoded = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    _checked(_LIBC.mount(*encoded, ctypes.c_ulong(flags), options.encode() or None))


def unmount(target: str, flags: int) -> None:
    _checked(_LIBC.umount2(os.fsencode(target), flags))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
