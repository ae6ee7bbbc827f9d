"""Several machines on one: a network namespace for each, joined by a switch that stands in a namespace of its own.

The switch is not on the machine's own side, because a Docker engine there lets its firewall drop what is forwarded.
"""

import contextlib
import ctypes
import ipaddress
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

_NETWORK = 0x40000000  # CLONE_NEWNET
LANS = [f"10.231.{number}" for number in range(1, 250)]


@dataclass
class Lan:
    """A small network: ``gateway`` is this machine's own address on it; namespaces get the ones above ten."""

    prefix: str
    tag: str
    namespaces: list[str] = field(default_factory=list)

    @property
    def gateway(self) -> str:
        return f"{self.prefix}.1"

    @property
    def range(self) -> str:
        return str(ipaddress.ip_network(f"{self.prefix}.0/24"))

    def add(self) -> tuple[str, str]:
        """A new namespace on this network: its name and its address."""
        index = len(self.namespaces) + 1
        name, address = f"{self.tag}h{index}", f"{self.prefix}.{10 + index}"
        _ip("netns", "add", name)
        self.namespaces.append(name)
        self._plug(f"h{index}", name, "eth0", address)
        _ip("-n", name, "route", "add", "default", "via", self.gateway)
        return name, address

    def cut(self, namespace: str) -> None:
        """Pull its cable: what is sent there gets no answer at all, not even a refusal."""
        _ip("-n", self.switch, "link", "set", self._port_of(namespace), "down")

    def mend(self, namespace: str) -> None:
        _ip("-n", self.switch, "link", "set", self._port_of(namespace), "up")

    def listen(self, namespace: str) -> socket.socket:
        """A listener on some port of that machine, for this process to answer: a socket stays where it was made."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_listen_in, namespace).result()

    def block(self, namespace: str, port: int, how: str) -> None:
        """Let its firewall REJECT what comes to that port, as if nothing listened, or DROP it without a word."""
        _filter(namespace, "--insert", port, how)

    def unblock(self, namespace: str, port: int, how: str) -> None:
        _filter(namespace, "--delete", port, how)

    @property
    def switch(self) -> str:
        return f"{self.tag}sw"

    def open(self) -> None:
        """Make the switch and this machine's own port on it."""
        _ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "br0", "up")
        _ip("link", "add", self.tag, "type", "veth", "peer", "name", "h0", "netns", self.switch)
        _ip("-n", self.switch, "link", "set", "h0", "master", "br0", "up")
        _ip("addr", "add", f"{self.gateway}/24", "dev", self.tag)
        _ip("link", "set", self.tag, "up")

    def close(self) -> None:
        """Takes the cables away with the namespaces that hold their ends; ours at once, so that its name is free."""
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self.tag)
        for namespace in [*self.namespaces, self.switch]:
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", namespace)

    def _plug(self, port: str, namespace: str, device: str, address: str) -> None:
        _ip("-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", device, "netns", namespace)
        _ip("-n", self.switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
        _ip("-n", namespace, "link", "set", device, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")

    def _port_of(self, namespace: str) -> str:
        return f"h{self.namespaces.index(namespace) + 1}"


@contextlib.contextmanager
def open_lan() -> Iterator[Lan]:
    """A network that no other run on this machine uses; gone at the end with all that was plugged into it."""
    lan = _claim()
    try:
        lan.open()
        yield lan
    finally:
        lan.close()


def _claim() -> Lan:
    for number, prefix in enumerate(LANS, start=1):
        lan = Lan(prefix, f"slw{number}")
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("netns", "add", lan.switch)  # fails where another run was first
            return lan
    raise RuntimeError("every network for tests is taken; look at `ip netns` for what earlier runs left")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


def _filter(namespace: str, verb: str, port: int, how: str) -> None:
    answer = ["--reject-with", "tcp-reset"] if how == "REJECT" else []
    rule = ["INPUT", "--protocol", "tcp", "--dport", str(port), "--jump", how, *answer]
    inside = ["nsenter", f"--net=/var/run/netns/{namespace}", "iptables", "--wait", verb, *rule]
    subprocess.run(inside, check=True, capture_output=True, timeout=20)


def _listen_in(namespace: str) -> socket.socket:
    """For a thread that ends after it: it stays in that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/var/run/netns", namespace).open() as place:
        if libc.setns(place.fileno(), _NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace)
    return socket.create_server(("", 0))
