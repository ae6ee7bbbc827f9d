"""Making one container of one replica: pull, network, create, inspect, hand over the secret, start."""

import contextlib
from typing import Any

from worker.drivers.docker_host import policy, pulling
from worker.drivers.docker_host.engine import Engine, Refused
from worker.errors import ToolError
from worker.specs import Message, ReplicaSpec, gettext_noop

Json = dict[str, Any]

_NETWORK = {  # members do not see each other, and nothing they send gets an address that could be answered
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "false",
}
_CHANGED = gettext_noop(
    "%(host)s made the container of %(name)s with other rights than it was told: %(paths)s. It was removed before"
    " anything in it ran. Look what changes containers there (a plugin, an older engine)."
)
_OTHER_IMAGE = gettext_noop("%(host)s made the container of %(name)s from another image than the approved one.")
_WORDS = {
    "no_gpu": gettext_noop(
        "%(host)s cannot give %(name)s a GPU: %(reason)s. Install the NVIDIA driver and container toolkit there, or"
        " choose another target."
    ),
    "port": gettext_noop(
        "%(host)s has no port for %(name)s: %(reason)s. If it stands behind address translation, give its host name"
        " instead of an address."
    ),
    "no_network": gettext_noop(
        "%(host)s has no room for another network: %(reason)s. Give its engine more address pools"
        " (default-address-pools), or stop deployments there."
    ),
    "disk_full": gettext_noop("%(host)s has no room for %(name)s: %(reason)s. Free some of its disk."),
    "image_missing": gettext_noop("%(host)s lost the image of %(name)s while it was started; it is tried again."),
    "start_failed": gettext_noop("%(host)s could not start %(name)s: %(reason)s."),
}
_SIGNS = {
    "no_gpu": ("could not select device driver", "nvidia-container", "unknown or invalid runtime", "nvml"),
    "port": ("port is already allocated", "address already in use", "cannot assign requested address"),
    "no_network": ("non-overlapping ipv4", "address pool"),
    "disk_full": ("no space left",),
    "image_missing": ("no such image",),
}


def launch(engine: Engine, spec: ReplicaSpec) -> None:
    """Start the replica's container, from an image that is there by digest once this begins.

    What was made is removed again where a later step fails. A name that somebody else takes meanwhile is theirs.
    """
    image = pulling.fetch(engine, spec)
    with _told(engine, spec):
        network = make_network(engine, spec)
        container = _create(engine, spec, network)
        if container is None:
            return
        try:
            _inspect(engine, spec, network, container, image)
            _start(engine, spec, container)
        except BaseException:
            with contextlib.suppress(ToolError):
                remove(engine, container)
            raise


def remove(engine: Engine, container: str) -> None:
    """Take a container away, running or not; one that is gone already is fine."""
    with _unless(404, 409):
        engine.delete(f"/containers/{container}", force=True, v=True)


def stop(engine: Engine, name: str, seconds: float) -> None:
    """Ask the container to end, insist after so long, and remove it."""
    with _unless(304, 404):
        engine.call("POST", f"/containers/{name}/stop", {"t": round(seconds)}, seconds=seconds + 20)
    remove(engine, name)


def network_of(instance: str, deployment: str) -> str:
    return f"slipway-{instance}-{deployment}"


def make_network(engine: Engine, spec: ReplicaSpec) -> str:
    """The network of the replica's deployment on this host, made where it is not there yet; its name."""
    name = network_of(spec.labels.get("instance", ""), spec.labels.get("deployment", ""))
    try:
        engine.get(f"/networks/{name}")
    except Refused as error:
        if error.status != 404:
            raise
        labels = {f"{policy.LABEL}{key}": spec.labels.get(key, "") for key in ("instance", "deployment")}
        with _unless(409):  # somebody else made it meanwhile
            engine.post(
                "/networks/create", {"Name": name, "CheckDuplicate": True, "Labels": labels, "Options": _NETWORK}
            )
    return name


def remove_network(engine: Engine, name: str) -> None:
    """Take away a deployment's network once nothing is on it; until then the engine refuses, which is fine."""
    with _unless(403, 404, 409):
        engine.delete(f"/networks/{name}")


def _create(engine: Engine, spec: ReplicaSpec, network: str) -> str | None:
    """The new container's id, or None where its name was taken at this moment."""
    try:
        body = policy.describe(spec, network, publish_on(engine))
        return str(engine.post("/containers/create", body, name=spec.name)["Id"])
    except Refused as error:
        if error.status != 409:
            raise
        return None


def _inspect(engine: Engine, spec: ReplicaSpec, network: str, container: str, image: str) -> None:
    """Look at what the engine really made, before anything in it runs."""
    kept = engine.get(f"/containers/{container}/json")
    if kept["Image"] != image:
        params = {"host": engine.name, "name": spec.name}
        raise ToolError(Message(_OTHER_IMAGE, params), kind="digest_mismatch", permanent=True)
    changed = policy.differences(policy.describe(spec, network, publish_on(engine)), kept)
    if changed:
        params = {"host": engine.name, "name": spec.name, "paths": ", ".join(changed)[:500]}
        raise ToolError(Message(_CHANGED, params), kind="policy_changed", permanent=True)


def _start(engine: Engine, spec: ReplicaSpec, container: str) -> None:
    """Start it with the secret on its standard input. It is sent first: whoever starts without it would refuse, and a
    worker that dies in between leaves a container that never ran."""
    with engine.attached(f"/containers/{container}/attach", stream=True, stdin=True) as streams:
        streams.sendall(spec.secret.encode())
        engine.post(f"/containers/{container}/start")


def publish_on(engine: Engine) -> str:
    """Only where the gateway reaches the host, when that is an address; a name may be any of the host's."""
    return engine.address if engine.address.replace(".", "").isdigit() or ":" in engine.address else ""


@contextlib.contextmanager
def _unless(*statuses: int) -> Any:
    """Go on where the engine refuses with one of these: what was asked for is so already."""
    try:
        yield
    except Refused as error:
        if error.status not in statuses:
            raise


@contextlib.contextmanager
def _told(engine: Engine, spec: ReplicaSpec) -> Any:
    try:
        yield
    except Refused as error:
        said = error.reason.lower()
        kind = next((kind for kind, signs in _SIGNS.items() if any(sign in said for sign in signs)), "start_failed")
        params = {"host": engine.name, "name": spec.name, "reason": error.reason[:300]}
        raise ToolError(Message(_WORDS[kind], params), kind=kind, log=error.reason[:500]) from error
