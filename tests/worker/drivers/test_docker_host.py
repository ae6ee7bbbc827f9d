"""What the driver of Docker hosts decides by itself: no engine is needed for any of it."""

import json

import pytest

from worker.drivers.docker_host.checks import is_new_enough
from worker.drivers.docker_host.figures import read_gpus
from worker.drivers.docker_host.placement import Room, choose
from worker.drivers.docker_host.policy import describe, locked
from worker.drivers.docker_host.system_calls import profile
from worker.drivers.docker_host.wires import lay
from worker.errors import ToolError
from worker.specs import ReplicaSpec

GIB = 1 << 30


def room(name: str, siblings: int = 0, replicas: int = 0, memory: int = 8 * GIB, gpus: int = 0) -> Room:
    return Room(name, siblings, replicas, memory, gpus)


def place(*rooms: Room, gpus: int = 0, turn: int = 0) -> str | None:
    return choose(rooms, memory_bytes=2 * GIB, gpus=gpus, turn=turn)


def test_siblings_spread_before_anything_else() -> None:
    assert place(room("a", siblings=1), room("b", replicas=9)) == "b"


def test_a_host_with_room_comes_before_an_idle_one_without() -> None:
    assert place(room("a", memory=GIB), room("b", replicas=3)) == "b"
    assert place(room("a", memory=GIB), room("b", memory=0, replicas=1)) == "a", "rather tight than nowhere"


def test_equal_hosts_take_turns_and_two_workers_choose_the_same() -> None:
    assert [place(room("a"), room("b"), turn=turn) for turn in range(4)] == ["a", "b", "a", "b"]


def test_a_gpu_is_given_once() -> None:
    assert place(room("a", gpus=1), room("b", gpus=2), gpus=2) == "b"
    assert place(room("a", gpus=1), gpus=2) is None
    assert place(gpus=0) is None


def test_graphics_cards_are_read_with_what_they_lack() -> None:
    told = "NVIDIA H200, 143771, 1, 0, 31, GPU-1\nOld Card, 8192, [N/A], [N/A], 50, GPU-2\nnonsense\n"
    first, second = read_gpus(told)
    assert (first["name"], first["memory_bytes"] >> 20, first["celsius"]) == ("NVIDIA H200", 143771, 31)
    assert (second["memory_used_bytes"], second["busy_percent"]) == (None, None)


@pytest.mark.parametrize(
    ("version", "enough"), [("20.10.24+dfsg1", True), ("28.2.2", True), ("19.03.1", False), ("dev", False)]
)
def test_engines_that_are_too_old_are_known(version: str, enough: bool) -> None:
    assert is_new_enough(version) is enough


@pytest.mark.parametrize(
    "url", ["tcp://-oProxyCommand=x", "ssh://-oProxyCommand=x@host", "http://host", "tcp://", "ssh://a b@host", "host"]
)
def test_an_address_is_never_an_option_of_a_program(url: str) -> None:
    secrets = dict.fromkeys(("ca", "cert", "key", "ssh_key", "known_hosts"), "x")
    with pytest.raises(ToolError) as caught:
        lay(url, secrets)
    assert (caught.value.kind, caught.value.permanent) == ("bad_address", True)


def test_no_field_of_a_replica_reaches_what_a_container_may_do() -> None:
    hostile = '--privileged /:/host\n"}],seccomp=unconfined'
    labels = dict.fromkeys(("instance", "deployment", "release", "generation"), hostile)
    spec = ReplicaSpec(hostile, labels, hostile, hostile, hostile, hostile)
    body = describe(spec, "net", "10.0.0.1")["HostConfig"]
    assert {name: body[name] for name in locked()} == locked()
    assert body["NetworkMode"] == "net"
    assert hostile not in json.dumps(body)


def test_every_call_that_reaches_out_is_refused() -> None:
    rules = json.loads(profile())["syscalls"]
    always = {name for rule in rules if not rule.get("args") for name in rule["names"]}
    assert {"connect", "ptrace", "mount", "unshare", "keyctl", "bpf", "io_uring_setup"} <= always
    assert not {"socket", "bind", "accept4", "execve", "write"} & always
    assert profile() == profile()
