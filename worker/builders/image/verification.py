"""What is looked at before an image is started: who says what is in it, and whether the registry still has it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from worker.builders.image.client import RegistryClient, digest_of
from worker.builders.image.documents import canonical
from worker.builders.image.provenance import PREDICATE, STATEMENT, open_envelope, refuse
from worker.errors import ToolError
from worker.specs import Message, RegistryAccess, gettext_noop

_NOT_A_BUILD = gettext_noop(
    "What is signed for the image does not say how it was built. Nothing is started. Propose the version again."
)
_OTHER_IMAGE = gettext_noop(
    "The provenance speaks of another image than the one to be started. Nothing is started. Propose the version again."
)
_OTHER_SUBJECT = gettext_noop(
    "The image was built for another subject than the one that was approved. Nothing is started. Propose the version"
    " again."
)
_OTHER_PARTS = gettext_noop(
    "The image's bill of materials is not the one that was signed. Nothing is started. Propose the version again."
)


def verify(attachments: Mapping[str, Any], *, location: str, digest: str, subject: str, keys: Sequence[bytes]) -> None:
    """Hold what a build left beside its image against the image and against what was approved; needs no network.

    Signature, then type, then content: ToolError ``provenance_invalid`` (permanent) says what does not fit.
    """
    statement = open_envelope(attachments.get("provenance"), keys)
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != PREDICATE:
        raise refuse(_NOT_A_BUILD)
    said = statement["subject"][0]
    if f"sha256:{said['digest']['sha256']}" != digest or location != f"{said['name']}@{digest}":
        raise refuse(_OTHER_IMAGE)
    predicate = statement["predicate"]
    if predicate["buildDefinition"]["externalParameters"].get("subject") != subject:
        raise refuse(_OTHER_SUBJECT)
    if predicate["runDetails"]["byproducts"][0]["digest"]["sha256"] != _digest(attachments.get("sbom")):
        raise refuse(_OTHER_PARTS)


def verify_stored(access: RegistryAccess, location: str) -> None:
    """Hold what the registry has under this location against the digests; layers of packages are the engine's to check.

    Reads manifest, config and the model's layer whole. ToolError ``digest_mismatch`` or ``image_missing`` (both
    permanent); the errors of the client where the registry does not answer.
    """
    name, _at, digest = location.partition("@")
    with RegistryClient(access) as registry:
        host, _slash, repository = name.partition("/")
        if host != registry.address.host:
            raise _elsewhere(host, registry.address.host)
        found = registry.get_manifest(repository, digest)
        if found is None:
            raise _missing(host, digest)
        manifest = json.loads(found[0])
        registry.read_blob(repository, manifest["config"]["digest"])
        registry.check_blob(repository, manifest["layers"][-1]["digest"])


def _digest(document: Any) -> str:
    return digest_of(canonical(document)).removeprefix("sha256:") if document else ""


def _missing(host: str, digest: str) -> ToolError:
    words = gettext_noop("The registry %(host)s has no image %(digest)s any more. Propose the version again.")
    return ToolError(Message(words, {"host": host, "digest": digest[:19]}), kind="image_missing", permanent=True)


def _elsewhere(host: str, ours: str) -> ToolError:
    words = gettext_noop(
        "The image lies in the registry %(host)s, and SLIPWAY_REGISTRY_URL names %(ours)s. Propose the version again."
    )
    return ToolError(Message(words, {"host": host, "ours": ours}), kind="image_missing", permanent=True)
