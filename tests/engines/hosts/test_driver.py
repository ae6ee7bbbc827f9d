"""The driver on two real engines: what a container may do, how it ends, and what becomes of it when a host goes."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engines.hosts.ground import INSTANCE, SECRET, Ground, ask
from worker.drivers.docker_host import figures
from worker.drivers.docker_host.figures import LOOK
from worker.drivers.docker_host.policy import describe, differences
from worker.errors import ToolError
from worker.specs import ImageSource, ReplicaStatus


@pytest.fixture
def ground(docker_ground: Ground) -> Iterator[Ground]:
    yield docker_ground
    docker_ground.mend()


def until_it_answers(address: str, path: str = "/v2/health/ready") -> dict:
    deadline = time.monotonic() + 30
    while True:
        try:
            return ask(address, path)[1]
        except OSError:
            assert time.monotonic() < deadline, "it did not answer in time"
            time.sleep(0.05)


def until_it_ended(ground: Ground, name: str) -> ReplicaStatus:
    deadline = time.monotonic() + 30
    driver = ground.open()
    while (status := driver.status(name)).state == "running":
        assert time.monotonic() < deadline, "it did not end in time"
        time.sleep(0.05)
    return status


def test_a_container_is_held_and_its_secret_is_nowhere_to_be_read(ground: Ground) -> None:
    status = ground.open().start(ground.make())
    seen = until_it_answers(status.address, f"/seen?also={ground.daemon(status.node).address}:2376")
    assert (seen["user"], int(seen["capabilities"], 16), seen["no_new_privileges"]) == (10001, 0, "1")
    assert len(seen["probes"]) >= 15
    assert {name: said for name, said in seen["probes"].items() if not said.startswith("refused")} == {}
    assert ask(status.address, "/v2/health/ready", "another secret")[0] == 401
    inspected = ground.daemon(status.node).client.api.inspect_container(status.name)
    assert SECRET not in json.dumps(inspected) + json.dumps(seen["environment"])


def test_a_container_that_the_engine_made_otherwise_is_noticed(ground: Ground) -> None:
    spec = ground.make()
    status = ground.open().start(spec)
    kept = ground.daemon(status.node).client.api.inspect_container(status.name)
    asked = describe(spec, f"slipway-{INSTANCE}-1", ground.daemon(status.node).address)
    assert differences(asked, kept) == []
    for name, value in {
        "Privileged": True,
        "CapAdd": ["SYS_ADMIN"],
        "Binds": ["/:/host"],
        "PidMode": "host",
        "ReadonlyRootfs": False,
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
        "Memory": 0,
        "NetworkMode": "host",
        "Devices": [{"PathOnHost": "/dev/mem"}],
    }.items():
        changed = {**kept, "HostConfig": {**kept["HostConfig"], name: value}}
        assert any(f"HostConfig.{name}" in each for each in differences(asked, changed)), name
    assert differences(asked, {**kept, "Mounts": [{"Destination": "/data"}]}) == ["Mounts"]


def test_a_replica_that_needs_too_much_memory_says_so(ground: Ground) -> None:
    status = ground.open().start(ground.make(memory_bytes=48 << 20))
    until_it_answers(status.address)
    ask_and_lose(status.address, "/eat")
    ended = until_it_ended(ground, status.name)
    assert ended.kind == "out_of_memory"
    assert "memory" in str(ended.reason)


def test_a_replica_that_crashes_says_with_what_and_shows_the_line(ground: Ground) -> None:
    status = ground.open().start(ground.make())
    until_it_answers(status.address)
    ask_and_lose(status.address, "/crash?code=3")
    ended = until_it_ended(ground, status.name)
    assert (ended.kind, ended.exit_code, ended.log) == ("crashed", 3, "it went wrong")


def ask_and_lose(address: str, path: str) -> None:
    """Ask for something that the replica may not live long enough to answer."""
    with contextlib.suppress(OSError, ValueError):
        ask(address, path)


@pytest.mark.parametrize(
    ("change", "kind", "hint"),
    [
        ({"registry": None}, "pull_denied", "SLIPWAY_REGISTRY_URL"),
        ({"image": "another"}, "image_missing", "Build the release again"),
        ({"digest": "sha256:" + "0" * 64}, "digest_mismatch", "not the one that was approved"),
        ({"gpus": 1}, "no_host", "no GPU is left"),
    ],
)
def test_what_cannot_be_started_says_why_and_what_to_do(ground: Ground, change: dict, kind: str, hint: str) -> None:
    for daemon in ground.hosts.daemons:
        daemon.client.images.prune(filters={"dangling": False})
    if image := change.pop("image", ""):
        change = {"location": ground.location.replace("/small@", f"/{image}@")}
    with pytest.raises(ToolError, match=hint) as caught:
        ground.open().start(replace(ground.make(), **change))
    assert caught.value.kind == kind
    assert ground.open().list_owned(INSTANCE) == []


def test_replicas_spread_and_deployments_do_not_see_each_other(ground: Ground) -> None:
    driver = ground.open()
    started = [driver.start(ground.make(f"slipway-1-1-{index}")) for index in range(4)]
    assert sorted(status.node for status in started) == ["host1", "host1", "host2", "host2"]
    other = driver.start(ground.make("slipway-2-1-0"))
    networks = ground.daemon(other.node).client.networks.list(names=["slipway-tests"])
    assert {network.name for network in networks} == {"slipway-tests-1", "slipway-tests-2"}


def test_a_lost_host_is_named_and_its_replica_starts_elsewhere(ground: Ground) -> None:
    driver = ground.open()
    first = driver.start(ground.make("slipway-1-1-0"))
    second = driver.start(ground.make("slipway-1-1-1"))
    lost = ground.daemon(first.node)
    lost.cut()
    begun = time.monotonic()
    assert [status.name for status in driver.list_owned(INSTANCE)] == [second.name]
    assert driver.absent() == {first.node}
    again = driver.start(ground.make("slipway-1-1-0"))
    assert again.node == second.node
    assert time.monotonic() - begun < 20, "a host that hangs held the other one up"
    said = next(str(line.detail) for line in driver.check() if not line.ok)
    assert said.startswith(f"{first.node} does not answer in time")
    assert {node.name: node.state for node in driver.nodes()} == {first.node: "down", second.node: "ready"}

    lost.mend()
    later = ground.open()
    copies = [status.node for status in later.list_owned(INSTANCE) if status.name == first.name]
    assert copies == ["host1", "host2"], "what came back is seen, and for the reconciler to tell apart"
    later.stop_copy(first.name, first.node, 0)
    assert [status.node for status in later.list_owned(INSTANCE)] == [second.node, second.node]


def test_a_host_that_drains_gets_nothing_new_and_gives_its_replica_a_successor(ground: Ground) -> None:
    before = ground.open().start(ground.make())
    ground.draining.append(before.node)
    after = ground.open().start(ground.make())
    assert after.node != before.node
    assert len(ground.open().list_owned(INSTANCE)) == 2, "both run until the reconciler has switched"
    assert {node.name: node.state for node in ground.open().nodes()}[before.node] == "draining"
    ground.draining.append(after.node)
    with pytest.raises(ToolError, match="drains"):
        ground.open().start(ground.make("slipway-1-1-1"))


@pytest.mark.parametrize(
    ("secrets", "kind", "hint"),
    [
        ("other authority", "tls_untrusted", "does not vouch for"),
        ("other client", "tls_refused", "--tlscacert"),
        ("none", "no_credentials", "authority's certificate"),
    ],
)
def test_a_host_that_cannot_be_spoken_to_says_exactly_why(ground: Ground, secrets: str, kind: str, hint: str) -> None:
    right = ground.hosts.secrets
    stranger = type(ground.hosts.authority)()
    pair = stranger.client("somebody else")
    given = {
        "other authority": {**right, "ca": stranger.cert},
        "other client": {**right, "cert": pair.cert, "key": pair.key},
        "none": {},
    }[secrets]
    driver = ground.open()
    driver.hosts.target = replace(ground.target, secrets=given)
    with pytest.raises(ToolError) as caught:
        driver.list_owned(INSTANCE)
    assert caught.value.kind == kind
    assert any(hint in str(line.detail) for line in driver.check())


def test_a_look_is_given_an_image_by_the_registry_and_touches_nobodys_containers(ground: Ground) -> None:
    daemon = ground.hosts.daemons[0]
    for each in ground.hosts.daemons:
        for image in each.client.images.list():
            each.client.images.remove(image.id, force=True)
    unseen = ground.open().nodes()
    assert {node.disk_free_bytes for node in unseen} == {0}
    driver = ground.open()
    driver.target = replace(ground.target, eyes=ImageSource(ground.location, ground.registry.access))
    assert all(node.disk_free_bytes > 0 and node.load is not None for node in driver.nodes())
    client = daemon.client
    theirs = client.containers.create(ground.location, name="slipway-look")
    running = client.containers.create(ground.location, name="slipway-look-2", labels={LOOK: "1"})
    ground.open().check()
    names = {container.name for container in client.containers.list(all=True)}
    assert names == {theirs.name, running.name}, "neither another's container nor a look that may still be at it"


def test_a_look_that_was_cut_short_is_taken_away(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    status = ground.open().start(ground.make())
    client = ground.daemon(status.node).client
    client.containers.create(ground.location, name="slipway-look-1", labels={LOOK: "1"})
    monkeypatch.setattr(figures, "LEFT_SECONDS", -1.0)
    ground.open().check()
    assert "slipway-look-1" not in {container.name for container in client.containers.list(all=True)}


def test_a_registry_that_lets_a_host_in_nowhere_is_said_before_anything_is_started(ground: Ground) -> None:
    for each in ground.hosts.daemons:
        for image in each.client.images.list():
            each.client.images.remove(image.id, force=True)
    driver = ground.open()
    wrong = replace(ground.registry.access, password="wrong")
    driver.target = replace(ground.target, eyes=ImageSource(ground.location, wrong))
    said = [str(line.detail) for line in driver.check() if not line.ok]
    assert len(said) == 2
    assert all("SLIPWAY_REGISTRY_URL" in text for text in said)


def test_a_host_without_an_engine_says_so(ground: Ground) -> None:
    driver = ground.open()
    closed = f"tcp://{ground.hosts.daemons[0].address}:2377"
    driver.hosts.target = ground.target
    driver.hosts.all = [replace(driver.hosts.all[0], url=closed)]
    assert "start its Docker engine" in str(driver.check()[0].detail)
