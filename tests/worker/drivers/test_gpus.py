"""How a replica's GPUs are asked for: of a Docker host as devices, of a Swarm cluster as a generic resource."""

from dataclasses import replace

from worker.drivers.docker_host import policy
from worker.drivers.swarm import services
from worker.specs import ReplicaSpec

LABELS = {"instance": "i", "deployment": "1", "release": "1", "generation": "1"}
SPEC = ReplicaSpec("slipway-1-1-0", LABELS, "host/models@sha256:0", "", "sha256:0", gpus=2)


def test_a_docker_host_is_asked_for_devices() -> None:
    asked = policy.describe(SPEC, "net", "10.0.0.1")
    (request,) = asked["HostConfig"]["DeviceRequests"]
    assert request == {"Driver": "", "Count": 2, "Capabilities": [["gpu", "compute", "utility"]]}
    assert asked["Labels"][policy.GPUS] == "2"
    without = policy.describe(replace(SPEC, gpus=0), "net", "10.0.0.1")
    assert without["HostConfig"]["DeviceRequests"] is None


def test_fewer_devices_than_asked_for_are_noticed() -> None:
    asked = policy.describe(SPEC, "net", "10.0.0.1")
    kept = {"Config": asked, "HostConfig": {**asked["HostConfig"], "DeviceRequests": None}}
    assert policy.differences(asked, kept) == ["HostConfig.DeviceRequests"]
    assert policy.differences(asked, {**kept, "HostConfig": asked["HostConfig"]}) == []


def test_a_cluster_is_asked_for_a_generic_resource() -> None:
    asked = services.describe(SPEC, {}, "net", [])["TaskTemplate"]["Resources"]
    assert asked["Reservations"]["GenericResources"] == [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]
    without = services.describe(replace(SPEC, gpus=0), {}, "net", [])["TaskTemplate"]["Resources"]
    assert "GenericResources" not in without["Reservations"]
