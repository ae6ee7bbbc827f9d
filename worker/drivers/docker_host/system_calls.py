"""The system calls a container is refused, as the profile that Docker takes.

The list is the sandbox's own, without what a container's first process needs to start a second. On top of it comes the
network: a replica answers on its port and never calls anybody, so it may open stream sockets and accept on them, and
nothing else. https://docs.docker.com/engine/security/seccomp/
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

from worker.sandbox.launcher.seccomp import REFUSED

Json = dict[str, Any]

_NEEDED = {"socket", "bind", "fork", "vfork", "setsid", "setpgid", "memfd_create"}
_FAST_OPEN = 0x20000000  # MSG_FASTOPEN connects while it sends
_SENDS = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}  # and which argument holds the flags
_NO_SUCH_CALL = 38  # libraries then fall back to the older way
_KIND_OF_SOCKET = 0xF  # the lower bits of a socket's type; above them are flags
_LAST_FAMILY = 46


def profile() -> str:
    """The profile as JSON; the same bytes every time, so that it can be compared with what the engine kept."""
    refused = sorted(set(REFUSED) - _NEEDED)
    rules = [
        {"names": refused, "action": "SCMP_ACT_ERRNO"},
        {"names": ["clone3", "io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": _NO_SUCH_CALL},
        *_no_way_out(),
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "archMap": _native(), "syscalls": rules}, sort_keys=True)


def _no_way_out() -> Iterator[Json]:
    """No connection and no datagram: ``connect`` is in the list; what is left are sockets that need none."""
    families = {int(family) for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)}
    for family in set(range(_LAST_FAMILY)) - families:
        yield _refuse("socket", _argument(0, family))
    yield _refuse("socket", {"index": 0, "value": _LAST_FAMILY, "op": "SCMP_CMP_GE"})
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in set(range(_KIND_OF_SOCKET + 1)) - {int(socket.SOCK_STREAM)}:
            yield _refuse("socket", _argument(0, int(family)), _masked(1, _KIND_OF_SOCKET, kind))
    for name, flags in _SENDS.items():
        yield _refuse(name, _masked(flags, _FAST_OPEN, _FAST_OPEN))
    yield _refuse("clone", _masked(0, 0x10000000, 0x10000000))  # CLONE_NEWUSER: in there it would be root


def _refuse(name: str, *arguments: Json) -> Json:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "args": list(arguments)}


def _argument(index: int, value: int) -> Json:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> Json:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _native() -> list[Json]:
    """The machine's own calls only: those of 32-bit programs would go past the list."""
    return [{"architecture": name, "subArchitectures": []} for name in ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")]
