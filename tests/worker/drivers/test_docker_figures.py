"""What an engine tells of its machine by itself, where no container has looked yet."""

from typing import Any

import pytest

from worker.drivers.docker_host.checks import _gpus
from worker.drivers.docker_host.figures import Figures, count_owners, free_disk, listed_gpus

CDI = [{"Source": "cdi", "ID": f"nvidia.com/gpu={name}"} for name in ("all", "0", "1", "GPU-4cf8db2d")]
NAMED = [
    {"NamedResourceSpec": {"Kind": "gpu", "Value": "GPU-7"}},
    {"NamedResourceSpec": {"Kind": "disk", "Value": "ssd"}},
    {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}},
]


@pytest.mark.parametrize(
    ("info", "names"),
    [
        ({"DiscoveredDevices": CDI}, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        ({"DiscoveredDevices": CDI, "GenericResources": NAMED}, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        ({"GenericResources": NAMED}, ["GPU-7"]),
        ({"DiscoveredDevices": None, "GenericResources": None}, []),
        ({}, []),
    ],
)
def test_cards_are_counted_once_however_many_names_they_have(info: dict[str, Any], names: list[str]) -> None:
    assert [gpu["name"] for gpu in listed_gpus(info)] == names


@pytest.mark.parametrize(
    ("status", "size"),
    [
        ([["Zpool", "tank"], ["Space Available", "123456"]], 123456),
        ([["Data Space Available", "98.5GB"]], None),
        ([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], None),
        (None, None),
    ],
)
def test_free_disk_is_told_where_the_storage_driver_knows_it(status: list | None, size: int | None) -> None:
    assert free_disk({"DriverStatus": status}) == size


def test_containers_are_counted_by_the_installation_that_owns_them() -> None:
    listed = [
        {"Labels": {"slipway.instance": "ours"}},
        {"Labels": {"slipway.instance": "ours"}},
        {"Labels": {"slipway.instance": "theirs"}},
        {"Labels": {"slipway.look": "1"}},
        {"Labels": {"com.example": "x"}},
        {"Labels": None},
    ]
    assert count_owners(listed) == {"ours": 2, "theirs": 1, "": 2}


def test_gpus_that_no_container_has_seen_are_told_as_docker_lists_them() -> None:
    host = {"version": "28.1.1", "cpus": 4.0, "memory_bytes": 1 << 33, "has_gpu_runtime": True}
    listed = Figures(**host, gpus=({"name": "nvidia.com/gpu=0"},))
    assert [ok for ok, _said in (_gpus(listed), _gpus(Figures(**host)))] == [True, True]
    assert "as Docker lists them: nvidia.com/gpu=0" in str(_gpus(listed)[1])
    assert "once there is an image" in str(_gpus(Figures(**host))[1])
    is_well, said = _gpus(Figures(**host, was_seen=True))
    assert not is_well
    assert "no GPU answers" in str(said)
