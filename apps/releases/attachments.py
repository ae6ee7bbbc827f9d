"""What lies beside an image: its bill of materials and its provenance, for people to read and to take along."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.errors import Missing
from apps.releases.models import Build

Json = dict[str, Any]
FILES = {  # what can be taken along: the file's name and its kind
    "sbom": ("sbom.cdx.json", "application/vnd.cyclonedx+json; version=1.6"),
    "provenance": ("provenance.dsse.json", "application/vnd.dsse.envelope.v1+json"),
    "keys": ("build-keys.pem", "application/x-pem-file"),
    "log": ("build.log", "text/plain; charset=utf-8"),
}


@dataclass(frozen=True)
class Told:
    """The provenance in a few words. It is shown as it stands; the worker verifies it before every start."""

    signed_with: str
    finished_at: str
    materials: list[tuple[str, str]]  # name and digest of everything that went in
    packages: list[Json]  # name, version, licences


def tell(build: Build | None) -> Told | None:
    """What a build's attachments say; None where it left none (it is no image)."""
    if build is None or not build.attachments or "provenance" not in build.attachments:
        return None
    envelope = build.attachments["provenance"]
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    parts = build.attachments["sbom"]["components"]
    return Told(
        signed_with=envelope["signatures"][0]["keyid"],
        finished_at=predicate["runDetails"]["metadata"].get("finishedOn", ""),
        materials=[(one["name"], one["digest"]["sha256"]) for one in _dependencies(predicate)],
        packages=[part for part in parts if part["type"] == "library"],
    )


def open_file(build: Build, part: str) -> str:
    """The text of one of ``FILES``; Missing where the build has none."""
    if part == "keys":
        return "".join(_public_keys())
    if part == "log" and build.log:
        return build.log
    document = (build.attachments or {}).get(part)
    if not document:
        raise Missing(_("This build has left no such file."))
    return json.dumps(document, indent=2, ensure_ascii=False)


def _dependencies(predicate: Json) -> list[Json]:
    found: list[Json] = predicate["buildDefinition"]["resolvedDependencies"]
    return found


def _public_keys() -> list[str]:
    """Of every key that has signed here, newest first: for whoever checks a provenance elsewhere."""
    keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in settings.SLIPWAY_BUILD_KEYS]
    return [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in keys]
