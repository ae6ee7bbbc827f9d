"""What a container may do: all of it is decided here, nothing of it by whoever asks for a deployment.

``describe`` is what the engine is told; ``differences`` says where what it kept is something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.drivers.docker_host.system_calls import profile
from worker.specs import ReplicaSpec

Json = dict[str, Any]

PORT = 8080
USER = "10001:10001"
LABEL = "slipway."
LABELS = ("instance", "deployment", "release", "generation")  # a replica's own; anything else is the image's or ours
DIGEST, MEMORY, GPUS = f"{LABEL}digest", f"{LABEL}memory", f"{LABEL}gpus"  # kept on the container for us
NANO = 1_000_000_000
_TMP_BYTES = 256 << 20
_LOG = {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}}


def describe(spec: ReplicaSpec, network: str, address: str) -> Json:
    """The container of one replica, as the engine's API takes it."""
    return {
        "Image": spec.location,
        "User": USER,
        "Env": [f"{name}={value}" for name, value in variables(spec).items()],
        "Labels": labels(spec),
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "OpenStdin": True,  # takes the secret, once
        "StdinOnce": True,
        "AttachStdin": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},  # the reconciler asks, with the secret
        "HostConfig": limits(spec, network, address),
    }


def limits(spec: ReplicaSpec, network: str, address: str) -> Json:
    """The host's side: whatever could give a container more is named here with nothing in it, so that it is held."""
    return {
        "NetworkMode": network,
        "PortBindings": {f"{PORT}/tcp": [{"HostIp": address, "HostPort": ""}]},
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_bytes,
        "NanoCpus": round(spec.cpus * NANO),
        "PidsLimit": 64 + 8 * threads(spec),
        "Ulimits": [{"Name": "nofile", "Soft": 16384, "Hard": 16384}],
        "DeviceRequests": _gpus(spec),
        "Tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={_TMP_BYTES},mode=1777"},
        "LogConfig": _LOG,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},  # the reconciler counts, waits and decides
        "Init": True,
        **locked(),
    }


def locked() -> Json:
    """What holds for every container of ours, whatever it runs."""
    return {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges", f"seccomp={profile()}"],
        "Privileged": False,
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "UsernsMode": "",
        "CgroupParent": "",
        "Binds": None,
        "Mounts": None,
        "VolumesFrom": None,
        "Devices": [],
        "GroupAdd": None,
        "ExtraHosts": None,
        "Links": None,
        "Dns": [],
        "PublishAllPorts": False,
        "OomKillDisable": False,
    }


def labels(spec: ReplicaSpec) -> dict[str, str]:
    ours = {f"{LABEL}{name}": value for name, value in spec.labels.items()}
    return {**ours, DIGEST: spec.digest, MEMORY: str(spec.memory_bytes), GPUS: str(spec.gpus)}


def threads(spec: ReplicaSpec) -> int:
    return max(1, round(spec.cpus))


def differences(asked: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    """Where the container that the engine made is not the one that was asked for; empty where it is."""
    config = {name: value for name, value in asked.items() if name not in {"HostConfig", "Env", "Labels"}}
    found = list(differ(config, kept["Config"], "Config"))
    found += differ(asked["HostConfig"], kept["HostConfig"], "HostConfig")
    found += ["Mounts"] if kept.get("Mounts") else []  # an image may ask for volumes
    found += [] if set(asked["Env"]) <= set(kept["Config"].get("Env") or ()) else ["Config.Env"]
    return found


def differ(asked: Any, kept: Any, at: str) -> Iterator[str]:
    """Engines leave empty values out or write them another way, and add fields of their own to what was asked for."""
    if at == "HostConfig.MemorySwap" and kept == -1:
        return  # the host's kernel counts no swap; the limit on memory stands
    if isinstance(asked, Mapping) and asked and isinstance(kept, Mapping):
        for name, value in asked.items():
            yield from differ(value, kept.get(name), f"{at}.{name}")
    elif isinstance(asked, Sequence) and not isinstance(asked, str) and isinstance(kept, list) and asked:
        if len(asked) != len(kept):
            yield at
        for left, right in zip(asked, kept, strict=False):
            yield from differ(left, right, at)
    elif asked != kept and (asked or kept):
        yield at


def _gpus(spec: ReplicaSpec) -> list[Json] | None:
    if not spec.gpus:
        return None
    return [{"Driver": "", "Count": spec.gpus, "Capabilities": [["gpu", "compute", "utility"]]}]


def variables(spec: ReplicaSpec) -> dict[str, str]:
    """The environment that the server reads; nothing in it is secret."""
    count = str(threads(spec))
    return {
        "SLIPWAY_LISTEN": f"0.0.0.0:{PORT}",
        "SLIPWAY_SECRET_FILE": "/dev/stdin" if spec.secret else "",
        "SLIPWAY_RELEASE": spec.labels.get("release", ""),
        "SLIPWAY_REPLICA": spec.name,
        "SLIPWAY_DRAIN_SECONDS": str(spec.drain_seconds),
        "SLIPWAY_THREADS": count,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
    }
