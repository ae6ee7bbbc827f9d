"""The Swarm driver's rules, on what a cluster's API says: places, tasks, ends, and what a replica may do."""

from typing import Any

import pytest

from worker.drivers.swarm import placement, reading
from worker.drivers.swarm.seeing import Seen, explain
from worker.drivers.swarm.services import describe
from worker.specs import ReplicaSpec

IMAGE = "registry:5000/slipway/models@sha256:11"
AT = "2026-11-21T06:46:56.4776{:02d}Z"


def node(name: str, *, state: str = "ready", availability: str = "active", **labels: str) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Spec": {"Availability": availability, "Role": "worker", "Labels": labels},
        "Description": {
            "Hostname": name,
            "Platform": {"OS": "linux"},
            "Resources": {"NanoCPUs": 4e9, "MemoryBytes": 8},
        },
        "Status": {"State": state, "Addr": f"10.0.0.{name[-1]}"},
    }


def service(version: int = 0) -> dict[str, Any]:
    labels = {"slipway.replica": "slipway-1-1-0", "slipway.instance": "i", "slipway.digest": "d"}
    return {"ID": "s", "Spec": {"Name": "slipway-1-1-0", "Labels": labels, "TaskTemplate": {"ForceUpdate": version}}}


def task(
    number: int, state: str, *, wanted: str = "running", version: int = 0, image: str = IMAGE, **status: Any
) -> dict[str, Any]:
    return {
        "ID": f"t{number}",
        "CreatedAt": AT.format(number),
        "DesiredState": wanted,
        "NodeID": "id-n1",
        "Spec": {"ForceUpdate": version, "ContainerSpec": {"Image": image}},
        "Status": {"State": state, **status},
    }


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        ("node.labels.gpu==true", ["n1"]),
        ("node.labels.gpu!=true", ["n2", "n3"]),
        ("node.hostname == N2", ["n2"]),
        ("node.role==manager", []),
        ("node.platform.os==linux", ["n1", "n2", "n3"]),
    ],
)
def test_constraints_are_read_as_swarm_reads_them(constraint: str, names: list[str]) -> None:
    nodes = [node("n1", gpu="true"), node("n2"), node("n3")]
    assert [each["Description"]["Hostname"] for each in placement.candidates(nodes, [constraint])] == names


def test_nodes_that_are_down_or_drain_take_nothing() -> None:
    nodes = [node("n1", state="down"), node("n2", availability="drain"), node("n3", availability="pause"), node("n4")]
    assert placement.candidates(nodes, []) == [nodes[3]]


def test_replica_avoids_the_nodes_that_have_more_of_its_siblings() -> None:
    nodes = [node("n1"), node("n2"), node("n3")]
    on = [{"NodeID": "id-n1"}, {"NodeID": "id-n1"}, {"NodeID": "id-n2"}, {"NodeID": "elsewhere"}]
    assert placement.avoided(nodes, on) == ["node.id!=id-n1", "node.id!=id-n2"]
    assert placement.avoided(nodes[:2], on) == ["node.id!=id-n1"]
    assert placement.avoided(nodes[:1], on) == placement.avoided([], on) == []


def test_running_task_stands_for_its_service_until_the_next_one_runs() -> None:
    old, new = task(1, "running"), task(2, "preparing", version=1)
    assert reading.standing(service(1), [old, new]) is old
    assert reading.standing(service(1), [task(1, "failed", wanted="shutdown"), new]) is new
    assert reading.standing(service(1), [task(1, "failed", wanted="shutdown")]) is None, "the new one is not made yet"


def test_running_replica_has_the_address_of_its_node_and_its_own_labels() -> None:
    ports = {"Ports": [{"TargetPort": 8080, "PublishedPort": 32768}]}
    status = reading.read_status(service(), task(1, "running", PortStatus=ports), node("n1"))
    assert (status.state, status.address, status.node) == ("running", "10.0.0.1:32768", "n1")
    assert status.labels == {"instance": "i"}
    assert reading.read_status(service(), task(1, "running"), node("n1")).state == "starting"


@pytest.mark.parametrize(
    ("found", "on", "kind"),
    [
        (task(1, "running"), node("n1", state="down"), "node_lost"),
        (task(1, "shutdown", wanted="shutdown"), node("n1", availability="drain"), "node_drained"),
        (task(1, "rejected", wanted="shutdown", Err="no space left"), node("n1"), "start_failed"),
    ],
)
def test_end_says_what_befell_the_machine(found: dict[str, Any], on: dict[str, Any], kind: str) -> None:
    seen = Seen(service(), found, on, reading.read_status(service(), found, on))
    status = explain(None, seen)  # type: ignore[arg-type]  # nothing is asked of the cluster for these
    assert (status.state, status.kind) == ("exited", kind)
    assert "n1" in str(status.reason)


def test_description_holds_the_container_and_tells_no_secret() -> None:
    spec = ReplicaSpec("slipway-1-1-0", {"instance": "i"}, "r/m@sha256:0", "", "sha256:0", "the secret", gpus=2)
    body = describe(spec, {"SecretID": "1", "SecretName": "s"}, "network", ["node.labels.gpu==true"])
    assert "the secret" not in repr(body)
    container = body["TaskTemplate"]["ContainerSpec"]
    assert (container["User"], container["ReadOnly"], container["CapabilityDrop"]) == ("10001:10001", True, ["ALL"])
    resources = body["TaskTemplate"]["Resources"]
    assert set(resources["Limits"]) == {"MemoryBytes", "NanoCPUs", "Pids"}
    assert resources["Reservations"]["GenericResources"] == [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]
    assert body["TaskTemplate"]["RestartPolicy"] == {"Condition": "none"}
    assert body["EndpointSpec"]["Mode"] == "dnsrr"
    assert body["EndpointSpec"]["Ports"][0]["PublishMode"] == "host"


@pytest.mark.parametrize(
    ("image", "digest"),
    [(IMAGE, "sha256:11"), ("elsewhere/other:latest@sha256:22", "sha256:22"), ("other:latest", "other:latest")],
)
def test_what_runs_is_told_by_its_task_and_not_by_what_was_asked_for(image: str, digest: str) -> None:
    ports = {"Ports": [{"TargetPort": 8080, "PublishedPort": 32768}]}
    seen = reading.read_status(service(), task(1, "running", image=image, PortStatus=ports), node("n1"))
    assert (seen.state, seen.digest) == ("running", digest)
