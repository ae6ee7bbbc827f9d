"""Docker hosts over SSH: only with the right key, only to the machine with the pinned one, and in words where not."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engines.hosts.ground import INSTANCE, Ground
from tests.engines.ssh_doors import Doors, Key
from worker.drivers.docker_host.driver import DockerHostDriver
from worker.errors import ToolError


@pytest.fixture
def ground(docker_ground: Ground) -> Iterator[Ground]:
    yield docker_ground
    docker_ground.mend()


def open_driver(ground: Ground, doors: Doors, **secrets: str) -> DockerHostDriver:
    driver = ground.open()  # which has forgotten who did not answer
    target = doors.instead_of_tls(ground.target)
    return type(driver)(replace(target, secrets={**target.secrets, **secrets}))


def test_the_right_key_opens_both_hosts(ground: Ground, ssh_doors: Doors) -> None:
    driver = open_driver(ground, ssh_doors)
    started = [driver.start(ground.make(f"slipway-1-1-{index}")) for index in range(2)]
    assert {status.node for status in started} == {"host1", "host2"}
    assert [status.name for status in driver.list_owned(INSTANCE)] == ["slipway-1-1-0", "slipway-1-1-1"]
    assert all(line.ok for line in driver.check()), [str(line.detail) for line in driver.check()]


@pytest.mark.parametrize("known", ["another key", "no key"])
def test_a_machine_with_another_key_than_the_pinned_one_is_told_nothing(
    ground: Ground, ssh_doors: Doors, known: str
) -> None:
    lines = [f"{door.daemon.address} {Key().public}" for door in ssh_doors.doors] if known == "another key" else []
    driver = open_driver(ground, ssh_doors, known_hosts="\n".join(lines) or "# nobody")
    with pytest.raises(ToolError, match="another SSH key than the pinned one") as caught:
        driver.list_owned(INSTANCE)
    assert caught.value.kind == "ssh_host_key"
    assert [line.ok for line in driver.check()] == [False, False]


def test_a_key_that_is_not_let_in_says_so(ground: Ground, ssh_doors: Doors) -> None:
    driver = open_driver(ground, ssh_doors, ssh_key=Key().private)
    with pytest.raises(ToolError, match="authorized_keys") as caught:
        driver.list_owned(INSTANCE)
    assert caught.value.kind == "ssh_denied"


def test_a_user_there_who_was_not_given_the_key_is_denied(ground: Ground, ssh_doors: Doors) -> None:
    target = ssh_doors.instead_of_tls(ground.target)
    hosts = [{**host, "url": host["url"].replace("root@", "nobody@")} for host in target.config["hosts"]]
    ground.open()
    with pytest.raises(ToolError) as caught:
        DockerHostDriver(replace(target, config={"hosts": hosts})).list_owned(INSTANCE)
    assert caught.value.kind == "ssh_denied"
