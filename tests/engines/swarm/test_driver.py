"""What the Swarm driver promises beyond what all drivers do: places, secrets, GPUs, faults of the cluster."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.engines.hosts.ground import ask
from tests.engines.swarm.ground import INSTANCE, SECRET, Ground
from tests.engines.swarms import GPU, wait_until
from worker.drivers.swarm.driver import SwarmDriver
from worker.drivers.swarm.services import describe
from worker.errors import ToolError


@pytest.fixture
def ground(swarm_ground: Ground) -> Iterator[Ground]:
    yield swarm_ground
    swarm_ground.tidy()


@pytest.fixture
def driver(ground: Ground) -> SwarmDriver:
    return ground.open()


def refusal(driver: SwarmDriver, *args: object) -> ToolError:
    with pytest.raises(ToolError) as caught:
        driver.start(*args)  # type: ignore[arg-type]
    return caught.value


def test_replica_is_held_and_its_secret_shows_nowhere(ground: Ground, driver: SwarmDriver) -> None:
    status = driver.start(ground.make())
    assert ask(status.address, "/v2/health/ready", "a guess")[0] == 401
    code, seen = ask(status.address, "/seen")
    assert code == 200
    assert (seen["user"], seen["capabilities"]) == (10001, "0" * 16)
    for probe in ("write to its root", "write to its bundle", "become root", "mount", "raw socket", "docker socket"):
        assert seen["probes"][probe].startswith("refused"), probe
    assert SECRET not in json.dumps(seen)
    client = ground.swarm.manager.client
    told = [client.api.inspect_service("slipway-1-1-0"), client.api.tasks(), client.api.secrets()]
    assert SECRET not in json.dumps([*told, ground.container("slipway-1-1-0").attrs])


def network_of(ground: Ground, name: str) -> dict[str, Any]:
    """A replica's place in the network of its own, as the engine has it."""
    found: dict[str, Any] = ground.container(name).attrs["NetworkSettings"]["Networks"][name]
    assert found["IPAddress"], found
    return found


def test_replicas_are_spread_stay_together_only_where_they_must_and_never_see_each_other(
    ground: Ground, driver: SwarmDriver
) -> None:
    nodes = [driver.start(ground.make(f"slipway-1-1-{index}")).node for index in range(2)]
    assert sorted(nodes) == ["host1", "host2"]
    ground.config["constraints"] = [f"node.hostname=={nodes[0]}"]
    third = ground.open().start(ground.make("slipway-1-1-2"))
    assert third.node == nodes[0]
    own, other = (network_of(ground, name) for name in ("slipway-1-1-2", "slipway-1-1-0"))
    assert own["NetworkID"] != other["NetworkID"]
    neighbour = f"{other['IPAddress']}:8080"
    said = ask(third.address, f"/seen?ask={neighbour}")[1]["probes"][f"ask {neighbour}"]
    is_itself = own["IPAddress"] == other["IPAddress"]  # two networks may count their addresses alike
    assert said.startswith("refused") or is_itself, (said, own, other)


def test_gpus_are_asked_for_as_swarm_gives_them_out(ground: Ground, driver: SwarmDriver) -> None:
    """The managers here are too old to be trusted with it, so the driver refuses; what it would ask for is right."""
    error = refusal(driver, ground.make(gpus=1))
    assert (error.kind, error.permanent) == ("engine_too_old", True)
    body = describe(ground.make(gpus=1), {}, "", [])
    task = body["TaskTemplate"] | {"Networks": [], "ContainerSpec": {"Image": ground.location}}
    ground.swarm.manager.client.api.create_service(task, "asks-for-a-gpu", networks=[])
    tasks = ground.swarm.manager.client.api.tasks
    wait_until(lambda: any(each.get("GenericResources") for each in tasks()))
    given = [each["GenericResources"] for each in tasks() if each.get("GenericResources")]
    assert given[0] == [{"NamedResourceSpec": {"Kind": "gpu", "Value": GPU}}]


def test_replica_that_fits_nowhere_leaves_nothing_behind(ground: Ground, driver: SwarmDriver) -> None:
    error = refusal(driver, ground.make(memory_bytes=1 << 50))
    assert (error.kind, error.permanent) == ("no_node", False)
    assert "insufficient resources" in error.log
    assert driver.status("slipway-1-1-0").state == "gone"
    client = ground.swarm.manager.client
    assert (client.secrets.list(), client.networks.list("slipway-1-1-0")) == ([], [])


def test_crash_and_want_of_memory_are_told_apart(ground: Ground, driver: SwarmDriver) -> None:
    status = driver.start(ground.make("slipway-1-1-0"))
    ask(status.address, "/crash?code=3")
    wait_until(lambda: driver.status("slipway-1-1-0").state == "exited")
    ended = driver.status("slipway-1-1-0")
    assert (ended.kind, ended.exit_code, ended.log) == ("crashed", 3, "it went wrong")
    again = driver.start(ground.make("slipway-1-1-0"))
    ask(again.address, "/eat")
    wait_until(lambda: driver.status("slipway-1-1-0").state == "exited")
    assert driver.status("slipway-1-1-0").kind == "out_of_memory"


def test_what_ended_is_started_again_by_an_update_in_place(ground: Ground, driver: SwarmDriver) -> None:
    driver.start(ground.make())
    client = ground.swarm.manager.client
    before = client.services.get("slipway-1-1-0")
    ground.kill("slipway-1-1-0")
    wait_until(lambda: driver.status("slipway-1-1-0").state == "exited")
    status = driver.start(replace(ground.make(), secret="another secret"))
    assert client.services.get("slipway-1-1-0").id == before.id
    assert ask(status.address, "/v2/health/ready", "another secret")[0] == 200
    assert len(client.secrets.list()) == 1


def test_replica_on_a_node_that_drains_gets_a_copy_elsewhere_before_it_goes(
    ground: Ground, driver: SwarmDriver
) -> None:
    before = driver.start(ground.make())
    ground.draining.append(before.node)
    after = ground.open().start(ground.make())
    assert after.node != before.node
    assert [ask(each.address, "/v2/health/ready")[0] for each in (before, after)] == [200, 200]
    driver = ground.open()
    assert sorted(each.node for each in driver.list_owned(INSTANCE)) == ["host1", "host2"]
    driver.stop_copy("slipway-1-1-0", before.node, 1)
    assert driver.list_owned(INSTANCE) == [driver.status("slipway-1-1-0")] == [after]
    ground.draining.append(after.node)
    assert ground.open().start(ground.make()) == after, "there is nowhere to go"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("pull_denied", lambda spec: replace(spec, registry=replace(spec.registry, password="wrong"))),
        ("image_missing", lambda spec: _with_digest(spec, "sha256:" + "0" * 64)),
        ("digest_mismatch", lambda spec: replace(spec, digest="sha256:" + "0" * 64)),
    ],
)
def test_image_that_cannot_be_had_is_refused_before_anything_is_made(
    ground: Ground, driver: SwarmDriver, kind: str, change: object
) -> None:
    error = refusal(driver, change(ground.make()))  # type: ignore[operator]
    assert error.kind == kind, error
    client = ground.swarm.manager.client
    assert (client.services.list(), client.secrets.list()) == ([], [])


def _with_digest(spec: object, digest: str) -> object:
    location = spec.location.partition("@")[0] + f"@{digest}"  # type: ignore[attr-defined]
    return replace(spec, location=location, digest=digest)  # type: ignore[type-var]


def test_service_of_somebody_else_under_the_name_is_left_alone(ground: Ground, driver: SwarmDriver) -> None:
    client = ground.swarm.manager.client
    theirs = client.services.create(ground.location, name="slipway-1-1-0", constraints=["node.id==none"])
    assert driver.status("slipway-1-1-0").state == "gone"
    refusal(driver, ground.make())
    driver.stop("slipway-1-1-0", 1)
    assert [service.id for service in client.services.list()] == [theirs.id]


def test_machine_that_is_no_manager_says_so_and_the_next_one_is_asked(ground: Ground) -> None:
    rows = [{"name": each.name, "url": each.url} for each in reversed(ground.swarm.hosts.daemons)]
    ground.config["managers"] = rows[:1]
    with pytest.raises(ToolError) as caught:
        ground.open().check()
    assert caught.value.kind == "no_manager"
    assert "not a swarm manager" in str(caught.value)
    ground.config["managers"] = rows
    assert all(line.ok for line in ground.open().check())


def test_check_tells_of_places_gpus_and_what_is_out_of_reach(ground: Ground) -> None:
    ground.config |= {"constraints": ["node.labels.rack==7"], "engine_port": 1}
    lines = {line.name: line for line in ground.open().check()}
    assert lines["reach"].ok
    assert "2 of 2 nodes" in str(lines["nodes"].detail)
    assert str(lines["gpus"].detail).startswith("1,")
    assert not lines["placement"].ok
    assert "node.labels.rack==7" in str(lines["placement"].detail)
    assert not lines["resources"].ok
    assert "host1, host2" in str(lines["resources"].detail)


def test_node_that_is_lost_ends_what_ran_there_and_it_runs_elsewhere(ground: Ground) -> None:
    ground.config["constraints"] = ["node.hostname==host2"]
    driver = ground.open()
    driver.start(ground.make())
    lost = ground.daemon("host2")
    lost.cut()
    wait_until(lambda: driver.status("slipway-1-1-0").state == "exited", 60)
    status = driver.list_owned(INSTANCE)[0]
    assert (status.kind, status.node) == ("node_lost", "host2")
    assert "host2" in str(status.reason)
    ground.config["constraints"] = []
    driver = ground.open()
    driver.stop("slipway-1-1-0", 0)
    assert driver.start(ground.make()).node == "host1"
    assert [node.state for node in driver.nodes()] == ["ready", "down"]
    lost.mend()
    wait_until(lambda: not lost.client.containers.list(ignore_removed=True), 60)
    assert [each.node for each in driver.list_owned(INSTANCE)] == ["host1"]
