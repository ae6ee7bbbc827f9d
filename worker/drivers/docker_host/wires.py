"""How the bytes of an engine's API travel: TLS, SSH, or a socket of this machine. Opens sockets, nothing else."""

import contextlib
import os
import re
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from worker.errors import ToolError
from worker.specs import Message, gettext_noop

CONNECT_SECONDS = 4.0
TLS_PORT, SSH_PORT = 2376, 22
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")  # of a user or a machine; never an option of a program
_MEMORY = Path("/dev/shm")

_UNUSABLE = gettext_noop(
    "The address %(url)s cannot be used. Write tcp://host:2376 (Docker over TLS) or ssh://user@host."
)
_NO_CERTIFICATES = gettext_noop(
    "Docker on %(url)s is reached over TLS, and the target has no certificates for it. Give it the authority's"
    " certificate, a client's certificate and its key."
)
_BAD_CERTIFICATES = gettext_noop(
    "The certificates of the target cannot be used: %(reason)s. Each has to be PEM text, and the key has to belong to"
    " the client's certificate."
)
_NO_SSH_KEY = gettext_noop(
    "Docker on %(url)s is reached over SSH, and the target lacks the private key or the host's own key. Give it both"
    " (ssh-keyscan prints the host's; compare it with the machine's before you trust it)."
)


@dataclass(frozen=True)
class Wire:
    """One way to one engine. ``open`` gives a connected socket; ``complaint`` is what the other side said last."""

    open: Callable[[float], socket.socket]
    address: str  # where this machine reaches the host: for ports that its containers publish
    complaint: Callable[[], str] = lambda: ""
    close: Callable[[], None] = lambda: None


def lay(url: str, secrets: Mapping[str, str]) -> Wire:
    """The way to the engine at ``url``; ToolError (permanent) where address or credentials cannot be used at all."""
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return Wire(lambda seconds: _open_unix(parts.path, seconds), "127.0.0.1")
    if parts.scheme not in {"tcp", "ssh"} or not _NAME.fullmatch(parts.hostname or ""):
        raise ToolError(Message(_UNUSABLE, {"url": url}), kind="bad_address", permanent=True)
    return _over_tls(parts, secrets) if parts.scheme == "tcp" else _over_ssh(parts, secrets)


def _over_tls(parts: SplitResult, secrets: Mapping[str, str]) -> Wire:
    if not all(secrets.get(name) for name in ("ca", "cert", "key")):
        raise ToolError(Message(_NO_CERTIFICATES, {"url": parts.geturl()}), kind="no_credentials", permanent=True)
    context, host, port = _context(secrets), parts.hostname or "", parts.port or TLS_PORT

    def open_tls(seconds: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        try:
            wrapped = context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        wrapped.settimeout(seconds)
        return wrapped

    return Wire(open_tls, host)


def _context(secrets: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=secrets["ca"])
        with _in_memory(secrets["cert"] + "\n" + secrets["key"]) as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        params = {"reason": getattr(error, "reason", None) or str(error)}
        raise ToolError(Message(_BAD_CERTIFICATES, params), kind="bad_credentials", permanent=True) from error
    return context


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path for a library that only reads files; the bytes never touch a disk."""
    number = os.memfd_create("pem")
    try:
        os.write(number, text.encode())
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _open_unix(path: str, seconds: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(seconds)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


class _Ssh:
    """Runs ``docker system dial-stdio`` on the host, one process for each connection, with nothing of this machine's
    own SSH settings: the key and the host's key are the target's."""

    def __init__(self, parts: SplitResult, secrets: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="slipway-ssh-", dir=_MEMORY if _MEMORY.is_dir() else None)
        folder = Path(self._folder.name)
        for name in ("ssh_key", "known_hosts"):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(secrets[name].strip() + "\n")
        self._errors = folder / "errors"
        self._running: list[subprocess.Popen[bytes]] = []
        who = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
        self._command = [
            "ssh", "-T", "-F", "none", "-p", str(parts.port or SSH_PORT), "-i", str(folder / "ssh_key"),
            *_options(folder / "known_hosts"), "--", who, "docker", "system", "dial-stdio",
        ]  # fmt: skip

    def open(self, seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, self._errors.open("wb") as errors:
            end = theirs.fileno()
            self._running.append(subprocess.Popen(self._command, stdin=end, stdout=end, stderr=errors))
        ours.settimeout(seconds)
        return ours

    def complaint(self) -> str:
        """What ssh said, once it has ended; empty while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired, IndexError):
            self._running[-1].wait(timeout=1)
        lines = self._errors.read_text(errors="replace").split("\n") if self._errors.exists() else []
        return " ".join(line.strip() for line in lines if line.strip())[:500]

    def close(self) -> None:
        for process in self._running:
            process.terminate()
            process.wait()
        self._folder.cleanup()


def _options(known_hosts: Path) -> Iterator[str]:
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts),
        "GlobalKnownHostsFile": "none",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ClearAllForwardings": "yes",
        "ConnectTimeout": str(round(CONNECT_SECONDS)),
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    for name, value in settings.items():
        yield "-o"
        yield f"{name}={value}"


def _over_ssh(parts: SplitResult, secrets: Mapping[str, str]) -> Wire:
    if not all(secrets.get(name) for name in ("ssh_key", "known_hosts")):
        raise ToolError(Message(_NO_SSH_KEY, {"url": parts.geturl()}), kind="no_credentials", permanent=True)
    if parts.username and not _NAME.fullmatch(parts.username):
        raise ToolError(Message(_UNUSABLE, {"url": parts.geturl()}), kind="bad_address", permanent=True)
    ssh = _Ssh(parts, secrets)
    return Wire(ssh.open, parts.hostname or "", ssh.complaint, ssh.close)
