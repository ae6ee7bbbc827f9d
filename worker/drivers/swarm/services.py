"""What a replica looks like as a Swarm service: the container policy of Docker hosts, as far as Swarm can hold it.

Everything here comes from a ReplicaSpec's typed fields; no text of a user becomes a part of the description but as the
value of a label or of a variable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.drivers.docker_host import policy
from worker.drivers.docker_host.policy import NANO, PORT, USER
from worker.specs import ReplicaSpec

Json = dict[str, Any]

REPLICA = "slipway.replica"  # the label that names the replica on its service, secret and network
_SECRET = "slipway"  # below /run/secrets
_TMP_BYTES = 256 << 20
HEALTH_SECONDS = 2.0  # a task counts as running, and has an address, from its first sign of health
_HEALTH_PATIENCE = 15  # failures in a row until Swarm ends it: no sooner than the reconciler would
_LOADING_SECONDS = 300  # in which they do not count


def labels(spec: ReplicaSpec) -> dict[str, str]:
    """Whose it is, on everything that belongs to the replica."""
    return {**policy.labels(spec), REPLICA: spec.name}


def describe(
    spec: ReplicaSpec, secret: Mapping[str, str], network: str, constraints: Sequence[str], version: int = 0
) -> Json:
    """The body of a service for one replica. ``version`` grows with every update, which makes Swarm start it anew."""
    return {
        "Name": spec.name,
        "Labels": labels(spec),
        "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {
            "ContainerSpec": _container(spec, secret),
            "Resources": _resources(spec),
            "RestartPolicy": {"Condition": "none"},  # the reconciler counts, waits and decides
            "Placement": {"Constraints": list(constraints)},
            "Networks": [{"Target": network}],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "5m", "max-file": "2"}},
            "ForceUpdate": version,
        },
        "UpdateConfig": {"Parallelism": 1, "Order": "stop-first", "FailureAction": "pause"},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": PORT, "PublishMode": "host"}],
        },
    }


def _container(spec: ReplicaSpec, secret: Mapping[str, str]) -> Json:
    user, _colon, group = USER.partition(":")
    variables = {**policy.variables(spec), "SLIPWAY_SECRET_FILE": f"/run/secrets/{_SECRET}"}
    return {
        "Image": spec.location,
        "Labels": labels(spec),
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "User": USER,
        "Init": True,
        "ReadOnly": True,
        "CapabilityDrop": ["ALL"],
        "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": _TMP_BYTES, "Mode": 0o1777}}],
        "Secrets": [{**secret, "File": {"Name": _SECRET, "UID": user, "GID": group, "Mode": 0o400}}],
        "StopGracePeriod": round((spec.drain_seconds + 1) * NANO),
        "Healthcheck": {
            "Test": ["CMD", "/opt/environment/bin/python", "-I", "-S", "/opt/healthcheck.py"],  # the image's own
            "Interval": round(HEALTH_SECONDS * NANO),
            "Timeout": 5 * NANO,
            "Retries": _HEALTH_PATIENCE,
            "StartPeriod": _LOADING_SECONDS * NANO,
        },
    }


def _resources(spec: ReplicaSpec) -> Json:
    """Memory is set aside, processor time is shared: too little of it makes slow, too little memory kills."""
    pids = 64 + 8 * policy.threads(spec)
    reserved: Json = {"MemoryBytes": spec.memory_bytes}
    if spec.gpus:
        reserved["GenericResources"] = [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": spec.gpus}}]
    limits = {"MemoryBytes": spec.memory_bytes, "NanoCPUs": round(spec.cpus * NANO), "Pids": pids}
    return {"Limits": limits, "Reservations": reserved}
