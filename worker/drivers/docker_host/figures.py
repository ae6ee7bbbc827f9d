"""What a host has and what is free, GPUs included.

An engine tells how many processors and how much memory its machine has, but neither what is free of it nor, as a rule,
the disk nor the GPUs. So once a minute a container of an image of ours looks: no network, nothing writable, gone a
second later. A host that has no such image yet is given one where the registry has any; else it tells the rest only.

Each look has a name of its own, and only a container with its label is ever taken away: two installations may look at
one host at the same time.
"""

import contextlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.drivers.docker_host import policy, pulling
from worker.drivers.docker_host.engine import Engine, Refused
from worker.drivers.docker_host.launching import remove
from worker.errors import ToolError
from worker.specs import ImageSource, ReplicaSpec

Json = dict[str, Any]

LOOK = f"{policy.LABEL}look"  # the label of a container that looks
LEFT_SECONDS = 300.0  # after which a look that is still there was cut short
_IMAGES = {"label": ["slipway.runtime"]}
_PYTHON = "/opt/environment/bin/python"
_SECONDS = 30.0
_GPU_FIELDS = "name,memory.total,memory.used,utilization.gpu,temperature.gpu,uuid"
_LOOK = """
import json, os, shutil, subprocess
free = dict(line.split(":") for line in open("/proc/meminfo"))["MemAvailable"]
disk = os.statvfs("/")
told = {"memory": int(free.split()[0]) * 1024, "disk": disk.f_bavail * disk.f_frsize, "gpus": ""}
told["load"] = os.getloadavg()[0]
if shutil.which("nvidia-smi"):
    asked = ["nvidia-smi", "--query-gpu=FIELDS", "--format=csv,noheader,nounits"]
    told["gpus"] = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
print(json.dumps(told))
""".replace("FIELDS", _GPU_FIELDS)
_MEBIBYTE = 1 << 20
_LISTED = re.compile(r"nvidia\.com/gpu=\d+")  # of several names that a card has in CDI's list, the one by number
_FREE = ("Space Available", "Data Space Available")  # as storage drivers tell it that can


@dataclass(frozen=True)
class Figures:
    """Of one host. What could not be looked at is None; GPUs as ``nvidia-smi`` tells them."""

    version: str
    cpus: float
    memory_bytes: int
    memory_free_bytes: int | None = None
    disk_free_bytes: int | None = None
    gpus: tuple[Json, ...] = ()
    has_gpu_runtime: bool = False
    load: float | None = None
    owners: Mapping[str, int] = field(default_factory=dict)  # containers that run, by instance
    warnings: tuple[str, ...] = ()
    security: tuple[str, ...] = field(default=())
    was_seen: bool = False  # from inside, not only as the engine tells it
    trouble: ToolError | None = None  # why the registry's image could not be had


def look(engine: Engine, image: ReplicaSpec | ImageSource | None = None) -> Figures:
    """Everything that can be seen of the host; the look itself failing is no error, only less is known then.

    ``image`` is fetched where the host has none of ours.
    """
    info = engine.get("/info")
    inside, trouble = _look_inside(engine, image, has_gpu_runtime=has_gpu_runtime(info))
    return Figures(
        version=str(info.get("ServerVersion", "")),
        cpus=float(info.get("NCPU", 0)),
        memory_bytes=int(info.get("MemTotal", 0)),
        memory_free_bytes=inside.get("memory"),
        disk_free_bytes=inside.get("disk", free_disk(info)),
        gpus=read_gpus(inside["gpus"]) if inside else listed_gpus(info),
        has_gpu_runtime=has_gpu_runtime(info),
        load=inside.get("load"),
        owners=count_owners(engine.get("/containers/json")),
        warnings=tuple(info.get("Warnings") or ()),
        security=tuple(info.get("SecurityOptions") or ()),
        was_seen=bool(inside),
        trouble=trouble,
    )


def has_gpu_runtime(info: Json) -> bool:
    return "nvidia" in (info.get("Runtimes") or {}) or bool(listed_gpus(info))


def listed_gpus(info: Json) -> tuple[Json, ...]:
    """The cards that an engine knows by itself: as CDI devices (Docker 28 on), or as what its administrator named."""
    devices = [str(each.get("ID", "")) for each in info.get("DiscoveredDevices") or ()]
    named = [each.get("NamedResourceSpec") or {} for each in info.get("GenericResources") or ()]
    found = [each for each in devices if _LISTED.fullmatch(each)]
    found = found or [str(each["Value"]) for each in named if str(each.get("Kind", "")).lower() == "gpu"]
    return tuple({"name": name} for name in sorted(found))


def free_disk(info: Json) -> int | None:
    """Bytes, where the storage driver tells them."""
    told = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)
    return next((int(told[name]) for name in _FREE if str(told.get(name, "")).isdigit()), None)


def count_owners(listed: list[Json]) -> dict[str, int]:
    """How many containers run for which instance; under the empty name those that are none of ours."""
    labels = [each.get("Labels") or {} for each in listed]
    return dict(Counter(label.get(f"{policy.LABEL}instance", "") for label in labels if LOOK not in label))


def read_gpus(text: str) -> tuple[Json, ...]:
    """The lines of ``nvidia-smi``: names, bytes, percent and degrees; a figure that a card does not have is None."""
    rows = ([cell.strip() for cell in line.split(",")] for line in text.splitlines())
    return tuple(_gpu(row) for row in rows if len(row) == len(_GPU_FIELDS.split(",")))


def _gpu(row: list[str]) -> Json:
    name, total, used, busy, degrees, uuid = row
    memory, taken = _number(total), _number(used)
    return {
        "name": name,
        "uuid": uuid,
        "memory_bytes": memory * _MEBIBYTE if memory is not None else None,
        "memory_used_bytes": taken * _MEBIBYTE if taken is not None else None,
        "busy_percent": _number(busy),
        "celsius": _number(degrees),
    }


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _look_inside(
    engine: Engine, image: ReplicaSpec | ImageSource | None, *, has_gpu_runtime: bool
) -> tuple[Json, ToolError | None]:
    """What a container sees, and what kept the host from having an image for it."""
    try:
        own = engine.get("/images/json", filters=_IMAGES)
        found = own[0]["Id"] if own else pulling.fetch(engine, image) if image else ""
    except ToolError as error:
        return {}, error
    with contextlib.suppress(Refused, ValueError):
        remove_left(engine)
        return _see(engine, found, has_gpu_runtime=has_gpu_runtime) if found else {}, None
    return {}, None


def _see(engine: Engine, image: str, *, has_gpu_runtime: bool) -> Json:
    """With its GPUs; a machine that is said to have some and hands out none shows the rest all the same."""
    if has_gpu_runtime:
        with contextlib.suppress(Refused):
            return _run(engine, _describe(image, with_gpus=True))
    return _run(engine, _describe(image, with_gpus=False))


def remove_left(engine: Engine) -> None:
    """Take away looks that were cut short, whoever's: a look is over in seconds."""
    for each in engine.get("/containers/json", all=True, filters={"label": [LOOK]}):
        if time.time() - each["Created"] > LEFT_SECONDS:
            remove(engine, each["Id"])


def _run(engine: Engine, description: Json) -> Json:
    name = f"slipway-look-{secrets.token_hex(4)}"
    container = engine.post("/containers/create", description, name=name)["Id"]
    try:
        engine.post(f"/containers/{container}/start")
        engine.call("POST", f"/containers/{container}/wait", {}, seconds=_SECONDS)
        data = engine.get(f"/containers/{container}/logs", stdout=True)
        return dict(json.loads(data[8:]))  # behind the frame's head
    finally:
        remove(engine, container)


def _describe(image: str, *, with_gpus: bool) -> Json:
    gpus = [{"Driver": "", "Count": -1, "Capabilities": [["gpu", "utility"]]}] if with_gpus else None
    limits = {"NetworkMode": "none", "Memory": 256 * _MEBIBYTE, "PidsLimit": 64, "DeviceRequests": gpus}
    return {
        "Image": image,
        "Labels": {LOOK: "1"},
        "User": policy.USER,
        "Entrypoint": [_PYTHON, "-I", "-S", "-c", _LOOK],
        "Cmd": [],
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {**policy.locked(), **limits},
    }
