"""The secret and the network of each replica: made before its service, taken away after it.

Both carry the replica's label, so what a lost worker left behind is found without any record of it.
"""

import base64
import secrets
import time
from typing import Any

from worker.drivers.docker_host.engine import Refused
from worker.drivers.swarm import reading
from worker.drivers.swarm.cluster import TAKEN, Cluster
from worker.drivers.swarm.services import REPLICA, labels
from worker.specs import ReplicaSpec

Json = dict[str, Any]

LEFT_SECONDS = 300.0  # after which a secret or a network without its service is nobody's any more


def make_secret(cluster: Cluster, spec: ReplicaSpec) -> Json:
    """A new secret, as a service refers to it. Swarm's secrets never change, so every start has its own."""
    name = f"{spec.name}-{secrets.token_hex(4)}"
    data = base64.b64encode(spec.secret.encode()).decode()
    made = cluster.manager.post("/secrets/create", {"Name": name, "Labels": labels(spec), "Data": data})
    return {"SecretID": made["ID"], "SecretName": name}


def make_network(cluster: Cluster, spec: ReplicaSpec) -> str:
    """The id of the replica's own network, under its name; it is there already when the replica is started again."""
    try:
        body = {"Name": spec.name, "Driver": "overlay", "Labels": labels(spec)}
        return str(cluster.manager.post("/networks/create", body)["Id"])
    except Refused as error:
        if error.status != TAKEN:
            raise
    return str(cluster.manager.get(f"/networks/{spec.name}", scope="swarm")["Id"])


def remove_other_secrets(cluster: Cluster, name: str, kept: str) -> None:
    """Those of earlier starts; what another copy of the replica still uses, Swarm keeps."""
    for secret in cluster.secrets(f"{REPLICA}={name}"):
        if secret["ID"] != kept:
            cluster.remove(f"/secrets/{secret['ID']}")


def remove(cluster: Cluster, name: str) -> None:
    """What belongs to a replica and no service uses. What a lost node still holds stays for ``sweep``."""
    for secret in cluster.secrets(f"{REPLICA}={name}"):
        cluster.remove(f"/secrets/{secret['ID']}")
    for network in cluster.networks(f"{REPLICA}={name}"):
        cluster.remove(f"/networks/{network['Id']}")


def sweep(cluster: Cluster, instance: str) -> None:
    """Remove what is left of replicas of this instance that have had no service for a while."""
    label = f"slipway.instance={instance}"
    served = {service["Spec"]["Labels"][REPLICA] for service in cluster.services(label)}
    for secret in cluster.secrets(label):
        if _is_left(secret["Spec"]["Labels"], secret["CreatedAt"], served):
            cluster.remove(f"/secrets/{secret['ID']}")
    for network in cluster.networks(label):
        if _is_left(network["Labels"], network["Created"], served):
            cluster.remove(f"/networks/{network['Id']}")


def _is_left(labelled: dict[str, str], made: str, served: set[str]) -> bool:
    return labelled.get(REPLICA) not in served and time.time() - reading.seconds(made) > LEFT_SECONDS
