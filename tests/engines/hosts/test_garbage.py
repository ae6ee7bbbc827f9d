"""What nothing refers to any more goes from the hosts; what is used, kept, another's or elsewhere's stays."""

from collections.abc import Iterator

import pytest

from tests.engines.hosts.ground import INSTANCE, Ground
from worker.drivers.docker_host import garbage


@pytest.fixture
def ground(docker_ground: Ground) -> Iterator[Ground]:
    yield docker_ground
    docker_ground.mend()


@pytest.fixture
def repository(ground: Ground) -> str:
    return f"{ground.registry.address}/{ground.registry.prefix}"


@pytest.fixture
def bare(ground: Ground) -> Ground:
    """No host has any image."""
    for daemon in ground.hosts.daemons:
        for image in daemon.client.images.list():
            daemon.client.images.remove(image.id, force=True)
    return ground


def images(ground: Ground, node: str) -> list[str]:
    return [name for image in ground.daemon(node).client.images.list() for name in image.attrs["RepoDigests"]]


def test_an_image_goes_once_no_release_and_no_container_needs_it(bare: Ground, repository: str) -> None:
    driver = bare.open()
    status = driver.start(bare.make())
    assert driver.tidy(INSTANCE, (), repository) == [], "a container is made of it"
    driver.stop(status.name, 0)
    assert driver.tidy(INSTANCE, {bare.digest}, repository) == [], "a release may start it"
    assert driver.tidy(INSTANCE, (), "elsewhere:5000/slipway") == [], "another installation's"
    listed = driver.tidy(INSTANCE, (), repository, is_dry=True)
    assert listed == [f"{status.node}: {bare.location}"]
    assert images(bare, status.node) == [bare.location], "a dry run removes nothing"
    assert driver.tidy(INSTANCE, (), repository) == listed
    assert images(bare, status.node) == []


def test_an_image_that_has_another_name_too_is_somebodys(bare: Ground, repository: str) -> None:
    driver = bare.open()
    status = driver.start(bare.make())
    driver.stop(status.name, 0)
    client = bare.daemon(status.node).client
    client.images.get(bare.location).tag("somebodys", "1")
    assert driver.tidy(INSTANCE, (), repository) == []
    client.images.remove("somebodys:1")


def test_a_network_that_waits_for_no_container_goes(
    ground: Ground, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, driver = ground.hosts.daemons[0].client, ground.open()
    running = driver.start(ground.make())
    client.networks.create("slipway-tests-7", labels={"slipway.instance": INSTANCE, "slipway.deployment": "7"})
    client.networks.create("slipway-other-7", labels={"slipway.instance": "other", "slipway.deployment": "7"})
    client.networks.create("theirs")
    assert driver.tidy(INSTANCE, {ground.digest}, repository) == [], "its container may be on its way"
    monkeypatch.setattr(garbage, "LEFT_SECONDS", -1.0)
    assert driver.tidy(INSTANCE, {ground.digest}, repository) == ["host1: slipway-tests-7"]
    assert {"slipway-other-7", "theirs"} <= {network.name for network in client.networks.list()}
    used = ground.daemon(running.node).client
    assert "slipway-tests-1" in {network.name for network in used.networks.list()}
