"""The images in the registry under our prefix, and removing those that nothing needs.

Nothing outside the two repositories of our own is ever looked at. A registry gives the bytes back at its own next
garbage collection.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from worker.builders.image.assembly import REPOSITORY as MODELS
from worker.builders.image.client import RegistryClient
from worker.builders.image.runtime import REPOSITORY as RUNTIMES
from worker.specs import RegistryAccess


@dataclass(frozen=True)
class StoredImage:
    """One image of ours, with all tags that lead to it."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    blobs: tuple[tuple[str, int], ...]  # digest and bytes of everything that it is made of


def list_images(access: RegistryAccess) -> list[StoredImage]:
    """Everything of ours that has a tag: images of models first, then those with packages alone."""
    with RegistryClient(access) as registry:
        names = [registry.address.repository(name) for name in (MODELS, RUNTIMES)]
        return [image for name in names for image in _in_repository(registry, name)]


def remove_images(access: RegistryAccess, images: Iterable[StoredImage]) -> None:
    """Remove these; what is gone already is fine. ToolError ``registry_keeps`` where the registry does not delete."""
    with RegistryClient(access) as registry:
        for image in images:
            registry.delete_manifest(image.repository, image.digest)


def unneeded(images: Iterable[StoredImage], needed: Collection[str]) -> list[StoredImage]:
    return [image for image in images if image.digest not in needed]


def bytes_freed(images: Collection[StoredImage], gone: Collection[StoredImage]) -> int:
    """What is given back when these go: the bytes that no other image is made of."""
    going = {image.digest for image in gone}
    kept = {blob for image in images if image.digest not in going for blob in image.blobs}
    return sum(size for _digest, size in {blob for image in gone for blob in image.blobs} - kept)


def _in_repository(registry: RegistryClient, repository: str) -> list[StoredImage]:
    tags: dict[str, list[str]] = defaultdict(list)
    manifests: dict[str, bytes] = {}
    for tag in registry.tags(repository):
        found = registry.get_manifest(repository, tag)
        if found is not None:  # a tag whose image was removed a moment ago
            tags[found[1]].append(tag)
            manifests[found[1]] = found[0]
    return [
        StoredImage(repository, digest, tuple(sorted(tags[digest])), _blobs(manifest))
        for digest, manifest in manifests.items()
    ]


def _blobs(manifest: bytes) -> tuple[tuple[str, int], ...]:
    said = json.loads(manifest)
    return tuple((one["digest"], one["size"]) for one in [said["config"], *said["layers"]])
