"""Tries, from behind a wall, to get out. Run inside a sandbox; prints {attempt: what it achieved} as JSON.

An attempt that achieves nothing raises: whatever returns is a hole. Every attempt is harmless where it succeeds
(a mount goes over a folder of the test, a system file is opened but not written): a broken wall costs a red test,
not the machine.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIVEN: dict[str, Any] = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"


def call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(x86: int, arm: int, *arguments: Any) -> int:
    return call(LIBC.syscall(ctypes.c_long(x86 if X86 else arm), *arguments))


def connect_to_this_machine() -> Any:
    return socket.create_connection(("127.0.0.1", GIVEN["port"]), timeout=1)


def connect_to_the_metadata_address() -> Any:
    return socket.create_connection(("169.254.169.254", 80), timeout=1)


def connect_over_the_sixth_protocol() -> Any:
    return socket.create_connection(("::1", GIVEN["port"]), timeout=1)


def look_up_a_name() -> Any:
    return socket.getaddrinfo("example.com", 443)


def listen_for_others() -> Any:
    return socket.create_server(("127.0.0.1", 0))


def send_a_datagram() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"x", ("127.0.0.1", GIVEN["port"]))


def read_raw_packets() -> Any:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


def use_the_kernels_ciphers() -> Any:
    return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)


def call_the_host_of_a_virtual_machine() -> Any:
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


def connect_to_a_unix_socket() -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect(GIVEN["unix"])


def connect_to_an_abstract_socket() -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect(GIVEN["abstract"])


def open_a_netlink_socket() -> Any:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def make_a_pair_of_network_sockets() -> Any:
    return socket.socketpair(socket.AF_INET)


def read_the_secret_key() -> str:
    return Path(GIVEN["secret"]).read_text()


def list_the_data_folder() -> Any:
    return os.listdir(GIVEN["data"])


def read_the_account_file() -> str:
    return Path("/etc/shadow").read_text()


def list_the_home_folder() -> Any:
    return [name for name in os.listdir(GIVEN["home"]) if name in GIVEN["home_names"]] or fail()


def write_into_the_data_folder() -> Any:
    return Path(GIVEN["data"], "planted").write_text("x") and fail_unless_outside("planted")


def write_into_what_is_readable() -> Any:
    return Path(GIVEN["readable"], "planted").write_text("x")


def write_into_the_system() -> Any:
    return os.close(os.open("/usr/bin/env", os.O_WRONLY)) or "opened for writing"


def change_a_kernel_setting() -> Any:
    return os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)) or "opened for writing"


def fail() -> Any:
    raise OSError("nothing seen")


def fail_unless_outside(name: str) -> Any:
    """A private place of the same name is no escape; the test looks at the real folder as well."""
    return fail() if GIVEN["private_tmp"] else name


def read_the_parents_environment() -> Any:
    return GIVEN["canary"].encode() in Path(f"/proc/{GIVEN['parent']}/environ").read_bytes() or fail()


def find_the_parent_in_any_process() -> Any:
    seen = [path for path in Path("/proc").glob("[0-9]*/environ") if GIVEN["canary"].encode() in path.read_bytes()]
    return seen or fail()


def signal_the_parent() -> Any:
    if not GIVEN["private_pids"]:
        os.kill(GIVEN["parent"], 0)
        return "signal accepted"
    return fail()


def kill_the_bystander() -> Any:
    return os.kill(GIVEN["bystander"], signal.SIGKILL) or "killed"


def kill_the_warden() -> Any:
    os.kill(os.getppid(), signal.SIGKILL)
    return fail() if os.getppid() == 1 else "killed"  # process 1 of a namespace never sees it


def let_itself_be_traced() -> Any:
    return syscall(101, 117, ctypes.c_long(0), ctypes.c_long(0), 0, 0)


def raise_a_limit_of_the_warden() -> Any:
    return resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64))


def trace_the_warden() -> Any:
    return syscall(101, 117, ctypes.c_long(16), ctypes.c_long(os.getppid()), 0, 0)


def read_the_memory_of_the_warden() -> Any:
    buffer = ctypes.create_string_buffer(8)
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(buffer), 8))
    return syscall(310, 270, ctypes.c_long(os.getppid()), vector, ctypes.c_long(1), vector, ctypes.c_long(1), 0)


def open_the_memory_of_the_warden() -> Any:
    return os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR)


def mount_a_file_system() -> Any:
    return call(LIBC.mount(b"tmpfs", GIVEN["readable"].encode(), b"tmpfs", ctypes.c_ulong(0), None))


def make_a_user_namespace() -> Any:
    return call(LIBC.unshare(0x10000000))


def start_another_process() -> Any:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)


def bomb_with_processes() -> Any:
    """Two hundred at most, each gone at once: enough to see that there is no end."""
    started = [pid for pid in (os.fork() for _ in range(200)) if pid or os._exit(0)]
    return len(started)


def start_a_program() -> Any:
    return os.posix_spawn("/bin/true", ["true"], {})


def clone_into_a_user_namespace() -> Any:
    pid = syscall(56, 220, ctypes.c_long(0x10000000 | signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)


def become_root() -> Any:
    return os.setuid(0) or "user 0"


def become_somebody_else() -> Any:
    return os.setresuid(1000, 1000, 1000) or "user 1000"


def leave_the_process_group() -> Any:
    return os.setsid()


def change_the_root() -> Any:
    return os.chroot(GIVEN["readable"])


def make_a_device() -> Any:
    return os.mknod(GIVEN["scratch"] + "/device", 0o020666, os.makedev(1, 1)) or "made"


def raise_a_limit() -> Any:
    return resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2) or "raised"


def use_the_key_ring() -> Any:
    return syscall(250, 219, ctypes.c_long(0), ctypes.c_long(-3), 0)


def load_a_kernel_program() -> Any:
    return syscall(321, 280, 0, ctypes.create_string_buffer(128), ctypes.c_long(128))


def handle_page_faults() -> Any:
    return syscall(323, 282, ctypes.c_long(1))


def count_kernel_events() -> Any:
    return syscall(298, 241, ctypes.create_string_buffer(128), 0, ctypes.c_long(-1), ctypes.c_long(-1), 0)


def make_an_io_ring() -> Any:
    return syscall(425, 425, ctypes.c_long(4), ctypes.create_string_buffer(256))


def keep_a_file_in_memory() -> Any:
    return os.memfd_create("hidden")


def share_memory_with_others() -> Any:
    return syscall(29, 194, ctypes.c_long(1234), ctypes.c_long(4096), ctypes.c_long(0o1666))


def map_more_than_the_limit() -> Any:
    return len(mmap.mmap(-1, 4 << 30))


def hold_four_gigabytes() -> Any:
    return sum(map(len, [bytearray(256 << 20) for _ in range(16)]))


def fill_the_disk() -> Any:
    """Past the limit of one file, which ends in an error and not in a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(GIVEN["scratch"] + "/large", "wb") as file:
        return file.truncate(64 << 30)


def see_the_callers_environment() -> Any:
    return [name for name, value in os.environ.items() if GIVEN["canary"] in value] or fail()


def find_an_inherited_file() -> Any:
    extra = {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}
    return [number for number in extra if Path(f"/proc/self/fd/{number}").exists()] or fail()


def keep_a_capability() -> Any:
    lines = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())
    held = [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(lines[name], 16)]
    return held or (lines["NoNewPrivs"] != "1") or (lines["Seccomp"] != "2") or fail()


HELPERS = {call, syscall, fail, fail_unless_outside}
ATTEMPTS: dict[str, Callable[[], Any]] = {
    name: thing
    for name, thing in list(globals().items())
    if callable(thing) and getattr(thing, "__module__", "") == __name__ and thing not in HELPERS
}


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        return f"achieved {attempt()!r}"
    except (OSError, MemoryError, ValueError) as error:
        return f"refused: {error}"


if __name__ == "__main__":
    print(json.dumps({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}))
