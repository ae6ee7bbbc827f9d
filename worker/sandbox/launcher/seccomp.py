"""Seccomp: which system calls are refused, as a filter program for the kernel, assembled by hand.

Numbers: Linux ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h`` (aarch64).
"""

import ctypes
import errno
import struct

from . import libc

_PR_SET_SECCOMP, _FILTER_MODE = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_X32_BIT = 0x40000000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86_64, aarch64); −1 where the architecture has no such call
REFUSED = {
    # the network; connect and bind because an inherited socket lives in the outer network
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200),
    # other processes, of its own or of others: threads are all it may start, so there are no fork bombs
    "fork": (57, -1), "vfork": (58, -1),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "setsid": (112, 157), "setpgid": (109, 154),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    # mounts, roots and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "unshare": (272, 97), "setns": (308, 268),
    "mknod": (133, -1), "mknodat": (259, 33), "swapon": (167, 224), "swapoff": (168, 225),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "fanotify_init": (300, 262), "acct": (163, 89),
    # becoming somebody else
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setfsuid": (122, 151), "setfsgid": (123, 152),
    "setgroups": (116, 159), "capset": (126, 91), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219),
    # the kernel itself, and the calls most of its holes were found in
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "reboot": (169, 142), "syslog": (103, 116), "personality": (135, 92), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "vhangup": (153, 58), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "uselib": (134, -1), "vmsplice": (278, 75),
}  # fmt: skip

# Answered with "no such call", so that libraries fall back to the older way. Files in memory escape every memory limit.
ABSENT = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
}  # fmt: skip

_ARGUMENTS_LOOKED_AT = {
    "socketpair": (53, 199), "prlimit64": (302, 261), "ioctl": (16, 29),
    "clone": (56, 220), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "kill": (62, 129), "tgkill": (234, 131), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
}  # fmt: skip
_THREAD = 0x00010000  # CLONE_THREAD, which the kernel does not combine with new user or process namespaces
_FAST_OPEN = 0x20000000  # MSG_FASTOPEN connects while it sends
_AF_UNIX = 1
_PUSH_INPUT = 0x5412  # TIOCSTI types into somebody else's terminal


def install(*, own_pid: int, signals_outside: bool) -> None:
    """Refuse the calls above in this process and all it will start; raises OSError on an unknown architecture.

    ``signals_outside`` says that nothing else keeps signals inside: then the program may signal itself alone.
    """
    code = assemble(own_pid=own_pid, signals_outside=signals_outside)
    instructions = ctypes.create_string_buffer(code, len(code))
    packed = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    program = ctypes.create_string_buffer(packed, len(packed))
    libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(program))


def assemble(*, own_pid: int, signals_outside: bool, machine: str = libc.MACHINE) -> bytes:
    """The filter as bytes. Calls whose arguments are looked at come first: the kernel remembers the others."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    column = list(_ARCHITECTURES).index(machine)
    numbers = {name: pair[column] for name, pair in _ARGUMENTS_LOOKED_AT.items()}
    code = [_step(_LOAD, _ARCHITECTURE_OFFSET), _step(_EQUAL, _ARCHITECTURES[machine], 1, 0), _end(_KILL_PROCESS)]
    code += [_step(_LOAD, _NUMBER_OFFSET), _step(_AT_LEAST, _X32_BIT, 0, 1), _end(_KILL_PROCESS)]
    code += _by_arguments(numbers)
    if signals_outside:
        code += _signals_to_itself(numbers, own_pid)
    for table, error in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for pair in table.values():
            code += _refuse(pair[column], error)
    return b"".join([*code, _end(_ALLOW)])


def _by_arguments(numbers: dict[str, int]) -> list[bytes]:
    return [
        *_refuse_by(numbers["socketpair"], 0, _step(_EQUAL, _AF_UNIX, 1, 0)),
        *_refuse_by(numbers["prlimit64"], 0, _step(_EQUAL, 0, 1, 0)),
        *_refuse_by(numbers["clone"], 0, _step(_ANY_BIT, _THREAD, 1, 0)),
        *_refuse_by(numbers["sendto"], 3, _step(_ANY_BIT, _FAST_OPEN, 0, 1)),
        *_refuse_by(numbers["sendmsg"], 2, _step(_ANY_BIT, _FAST_OPEN, 0, 1)),
        *_refuse_by(numbers["sendmmsg"], 3, _step(_ANY_BIT, _FAST_OPEN, 0, 1)),
        *_refuse_by(numbers["ioctl"], 1, _step(_EQUAL, _PUSH_INPUT, 0, 1)),
    ]


def _signals_to_itself(numbers: dict[str, int], own_pid: int) -> list[bytes]:
    code = _refuse(numbers["tkill"], errno.EPERM) + _refuse(numbers["pidfd_send_signal"], errno.EPERM)
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        code += _refuse_by(numbers[name], 0, _step(_EQUAL, own_pid, 1, 0))
    return code


def _refuse(number: int, error: int) -> list[bytes]:
    return [] if number < 0 else [_step(_EQUAL, number, 0, 1), _end(_ERROR | error)]


def _refuse_by(number: int, argument: int, test: bytes) -> list[bytes]:
    """Refuse a call by one of its arguments: ``test`` goes on to the refusal, or jumps over it."""
    refusal = _end(_ERROR | errno.EPERM)
    return [_step(_EQUAL, number, 0, 4), _load(argument), test, refusal, _end(_ALLOW)]


def _load(argument: int) -> bytes:
    """The low half of an argument: flags, process ids and families are 32 bits wide."""
    return _step(_LOAD, _ARGUMENTS_OFFSET + 8 * argument)


def _end(verdict: int) -> bytes:
    return _step(_RETURN, verdict)


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)
