"""Fetching an image onto a host by its digest, and why it could not be had."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from worker.drivers.docker_host.engine import Engine, Refused
from worker.errors import ToolError
from worker.specs import ImageSource, Message, RegistryAccess, ReplicaSpec, gettext_noop

PULL_SECONDS = 120.0  # that an engine may be silent while it pulls

_OTHER = gettext_noop("The image %(image)s is not the one that was approved: its digest differs.")
_WORDS = {
    "pull_denied": gettext_noop(
        "%(host)s may not read %(image)s: %(reason)s. Check the user and password in SLIPWAY_REGISTRY_URL."
    ),
    "image_missing": gettext_noop(
        "The registry does not have %(image)s any more (%(reason)s). Build the release again."
    ),
    "registry_untrusted": gettext_noop(
        "%(host)s does not trust the registry's certificate: %(reason)s. Put the registry's authority there as"
        " /etc/docker/certs.d/%(registry)s/ca.crt; no restart is needed."
    ),
    "digest_mismatch": gettext_noop(
        "What the registry has as %(image)s is not what was approved: %(reason)s. Nothing of it was started. Find out"
        " who changed it, then build the release again."
    ),
    "disk_full": gettext_noop("%(host)s has no room for %(image)s: %(reason)s. Free some of its disk."),
    "registry_away": gettext_noop(
        "%(host)s cannot pull %(image)s: %(reason)s. Look whether it reaches the registry %(registry)s."
    ),
}
# What engines and registries say, in the order in which it is looked for
_SIGNS = {
    "registry_untrusted": ("x509", "certificate", "http response to https client"),
    "digest_mismatch": ("verification failed", "does not match", "unexpected commit digest", "content digest"),
    "disk_full": ("no space left",),
    "pull_denied": ("unauthorized", "denied", "no basic auth", "authentication required", "forbidden"),
    "image_missing": ("manifest unknown", "not found", "not exist", "unknown blob"),
}
_PERMANENT = frozenset({"digest_mismatch", "image_missing"})


def refuse_other_image(spec: ReplicaSpec) -> None:
    """An image is started by the digest that was approved or not at all; a tag could be anything by now."""
    if spec.location.rpartition("@")[2] != spec.digest or not spec.digest.startswith("sha256:"):
        raise ToolError(Message(_OTHER, {"image": spec.location}), kind="digest_mismatch", permanent=True)


def fetch(engine: Engine, spec: ReplicaSpec | ImageSource) -> str:
    """The engine's id of the image, pulled where it is not there yet. ToolError has a kind for each cause."""
    found = _look(engine, spec.location)
    if found is None:
        _pull(engine, spec)
        found = _look(engine, spec.location)
    if found is None:
        raise explain(engine, spec, "it is not there after the pull")
    return str(found["Id"])


def _look(engine: Engine, location: str) -> Any:
    try:
        return engine.get(f"/images/{location}/json")
    except Refused as error:
        if error.status != 404:
            raise
        return None


def _pull(engine: Engine, spec: ReplicaSpec | ImageSource) -> None:
    repository, _at, digest = spec.location.rpartition("@")
    query = {"fromImage": repository, "tag": digest}
    try:
        with engine.asked("POST", "/images/create", query, headers=sign_in(spec), seconds=PULL_SECONDS) as said:
            troubles = [record["error"] for record in _records(said) if "error" in record]
    except Refused as error:
        raise explain(engine, spec, error.reason) from error
    if troubles:
        raise explain(engine, spec, str(troubles[0]))


def _records(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.strip():
            yield json.loads(line)


def sign_in(spec: ReplicaSpec | ImageSource) -> dict[str, str]:
    """The registry's password for this one pull: engines are never signed in."""
    access: RegistryAccess | None = spec.registry
    if access is None or not access.username:
        return {}
    document = {"username": access.username, "password": access.password, "serveraddress": registry_of(spec.location)}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(document).encode()).decode()}


def registry_of(location: str) -> str:
    return location.partition("/")[0]


def explain(engine: Engine, spec: ReplicaSpec | ImageSource, reason: str) -> ToolError:
    """What an engine said of an image that it could not have, with a kind for each cause."""
    said = reason.lower()
    kind = next((kind for kind, signs in _SIGNS.items() if any(sign in said for sign in signs)), "registry_away")
    params = {"host": engine.name, "image": spec.location, "registry": registry_of(spec.location)}
    words = Message(_WORDS[kind], {**params, "reason": reason[:300]})
    return ToolError(words, kind=kind, permanent=kind in _PERMANENT, log=reason[:500])
