"""The short form on a Swarm cluster: approve, call, lose a container, have it back, stop."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.engines.journeys.conftest import use_target
from tests.engines.journeys.production import Production
from tests.engines.swarms import Swarm, open_swarm
from tests.journeys import deadlines, steps
from tests.journeys.calls import call, wait_until
from tests.journeys.visitors import Visitor


@pytest.fixture(scope="module")
def cluster(slipway: Production, ada: Visitor) -> Iterator[Swarm]:
    """A cluster that staging's endpoints run on. Its nodes are seen as machines of the product's."""
    with open_swarm() as swarm:
        slipway.machines.extend(swarm.hosts.daemons)
        slipway.add_target("cluster", "swarm", swarm.config, swarm.hosts.secrets)
        use_target(ada, "staging", "cluster")
        yield swarm
        for daemon in swarm.hosts.daemons:
            slipway.machines.remove(daemon)


@pytest.fixture(scope="module")
def endpoint(dana: Visitor, cluster: Swarm) -> str:
    dana.go(f"{steps.ROOM}/new-endpoint/")
    dana.page.get_by_label("Name", exact=True).fill("on-swarm")
    dana.page.get_by_label("Environment").select_option(label="staging")
    dana.press("Save")
    return f"{steps.ROOM}/endpoints/on-swarm/"


def test_model_runs_on_the_cluster_and_a_killed_replica_is_back(
    slipway: Production,
    cluster: Swarm,
    dana: Visitor,
    rhea: Visitor,
    omar: Visitor,
    regression: str,
    endpoint: str,
    invoke_key: str,
    request_body: dict[str, Any],
) -> None:
    release = steps.propose(dana, "digits v1", "on-swarm", "The same, elsewhere.")
    steps.approve(rhea, release, "Fine there too.")
    url = f"{slipway.gateway}/{steps.PROJECT}/on-swarm/v2/models/digits/infer"

    def answers() -> bool:
        return call(url, key=invoke_key, body=request_body).status == 200

    wait_until(answers, deadlines.PAGE, what="an answer")
    (name,) = replicas_of(cluster)
    pid = slipway.find_replicas()[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: slipway.find_replicas().get(name, pid) != pid, deadlines.HEALED, what=f"{name} to be back")
    wait_until(answers, 2 * deadlines.HEALED, what="an answer of the new one")  # its start alone takes Swarm seconds
    omar.go(endpoint)
    omar.press("Stop")
    expect(omar.page.get_by_role("heading", level=1)).to_contain_text("stopped", timeout=deadlines.LIVE * 1000)
    wait_until(lambda: not replicas_of(cluster), deadlines.HEALED, what="the services to be gone")


def replicas_of(cluster: Swarm) -> set[str]:
    return {service.name for service in cluster.manager.client.services.list()}
