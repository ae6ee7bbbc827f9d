"""What a host has and what is free, GPUs included.

An engine tells how many processors and how much memory its machine has, but neither what is free of it nor the disk nor
the GPUs. So once a minute a container of an image of ours looks: no network, nothing writable, gone a second later. A
host that has no such image yet tells the rest only.
"""

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from worker.drivers.docker_host import policy
from worker.drivers.docker_host.engine import Engine, Refused
from worker.drivers.docker_host.launching import remove

Json = dict[str, Any]

_NAME = "slipway-look"
_IMAGES = {"label": ["slipway.runtime"]}
_PYTHON = "/opt/environment/bin/python"
_SECONDS = 30.0
_GPU_FIELDS = "name,memory.total,memory.used,utilization.gpu,temperature.gpu,uuid"
_LOOK = """
import json, os, shutil, subprocess
free = dict(line.split(":") for line in open("/proc/meminfo"))["MemAvailable"]
disk = os.statvfs("/")
told = {"memory": int(free.split()[0]) * 1024, "disk": disk.f_bavail * disk.f_frsize, "gpus": ""}
if shutil.which("nvidia-smi"):
    asked = ["nvidia-smi", "--query-gpu=FIELDS", "--format=csv,noheader,nounits"]
    told["gpus"] = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
print(json.dumps(told))
""".replace("FIELDS", _GPU_FIELDS)
_MEBIBYTE = 1 << 20


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
    warnings: tuple[str, ...] = ()
    security: tuple[str, ...] = field(default=())


def look(engine: Engine) -> Figures:
    """Everything that can be seen of the host; the look itself failing is no error, only less is known then."""
    info = engine.get("/info")
    has_gpu_runtime = "nvidia" in (info.get("Runtimes") or {}) or bool(info.get("DiscoveredDevices"))
    inside: Json = {}
    with contextlib.suppress(Refused, ValueError):
        inside = _look_inside(engine, has_gpu_runtime=has_gpu_runtime)
    return Figures(
        version=str(info.get("ServerVersion", "")),
        cpus=float(info.get("NCPU", 0)),
        memory_bytes=int(info.get("MemTotal", 0)),
        memory_free_bytes=inside.get("memory"),
        disk_free_bytes=inside.get("disk"),
        gpus=read_gpus(inside.get("gpus", "")),
        has_gpu_runtime=has_gpu_runtime,
        warnings=tuple(info.get("Warnings") or ()),
        security=tuple(info.get("SecurityOptions") or ()),
    )


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


def _look_inside(engine: Engine, *, has_gpu_runtime: bool) -> Json:
    images = engine.get("/images/json", filters=_IMAGES)
    if not images:
        return {}
    remove(engine, _NAME)  # of a look that was cut short
    container = engine.post("/containers/create", _describe(images[0]["Id"], has_gpu_runtime), name=_NAME)["Id"]
    try:
        engine.post(f"/containers/{container}/start")
        engine.call("POST", f"/containers/{container}/wait", {}, seconds=_SECONDS)
        data = engine.get(f"/containers/{container}/logs", stdout=True)
        return dict(json.loads(data[8:]))  # behind the frame's head
    finally:
        remove(engine, container)


def _describe(image: str, has_gpu_runtime: bool) -> Json:
    gpus = [{"Driver": "", "Count": -1, "Capabilities": [["gpu", "utility"]]}] if has_gpu_runtime else None
    limits = {"NetworkMode": "none", "Memory": 256 * _MEBIBYTE, "PidsLimit": 64, "DeviceRequests": gpus}
    return {
        "Image": image,
        "User": policy.USER,
        "Entrypoint": [_PYTHON, "-I", "-S", "-c", _LOOK],
        "Cmd": [],
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {**policy.locked(), **limits},
    }
