"""Packages and bundle made one image by the registry's API alone: no engine, no root, no line of anybody's code run.

The packages' layers are mounted, the bundle becomes one layer, and config and manifest are written in one form only:
the same bundle on the same packages has the same digest, wherever it is put together.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.builders.image.client import CONFIG, LAYER, MANIFEST, Blob, RegistryClient, blob_of
from worker.builders.image.documents import Json, canonical, descriptor
from worker.builders.image.layers import folder_layer
from worker.builders.image.runtime import REPOSITORY as RUNTIMES
from worker.builders.image.runtime import Runtime
from worker.specs import BuildSpec

REPOSITORY = "models"
BUNDLE = "opt/bundle"
_EPOCH = "1970-01-01T00:00:00Z"
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Assembled:
    """A finished image: its digest, how engines name it, and how much of it had to be sent."""

    digest: str
    location: str  # host:port/prefix/models@sha256:…
    layer: Blob
    sent_bytes: int


def assemble(registry: RegistryClient, spec: BuildSpec, bundle: Path, runtime: Runtime) -> Assembled:
    """Put the bundle on top of the packages and leave the image in the registry."""
    repository = registry.address.repository(REPOSITORY)
    for layer in runtime.manifest["layers"]:
        _mount(registry, repository, layer)
    layer = folder_layer(bundle, BUNDLE)
    is_new = registry.upload_blob(repository, layer)
    config = blob_of(canonical(make_config(spec, runtime.config, layer.digest)))
    registry.upload_blob(repository, config)
    manifest = canonical(make_manifest(runtime.manifest["layers"], config, layer))
    digest = registry.put_manifest(repository, _tag(spec, manifest), manifest)
    return Assembled(digest, f"{registry.address.host}/{repository}@{digest}", layer, layer.size if is_new else 0)


def make_config(spec: BuildSpec, below: Json, diff_id: str) -> Json:
    """The config of the packages' image with one more layer, our labels, and no date."""
    labels = {
        **(below["config"].get("Labels") or {}),
        "slipway.model": spec.model,
        "slipway.version": spec.version,
        "slipway.subject": spec.subject,
    }
    history = [*below.get("history", ()), {"created": _EPOCH, "created_by": "slipway: runtime and model"}]
    layers = [*below["rootfs"]["diff_ids"], diff_id]
    return {
        **below,
        "created": _EPOCH,
        "config": {**below["config"], "Labels": labels},
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": layers},
    }


def make_manifest(below: list[Json], config: Blob, layer: Blob) -> Json:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [*below, descriptor(LAYER, layer)],
    }


def _mount(registry: RegistryClient, repository: str, layer: Json) -> None:
    source = registry.address.repository(RUNTIMES)
    if not registry.mount_blob(repository, layer["digest"], source):
        read = partial(registry.stream_blob, source, layer["digest"])
        registry.upload_blob(repository, Blob(layer["digest"], layer["size"], read))


def _tag(spec: BuildSpec, manifest: bytes) -> str:
    """For people who look into the registry, and for finding what is there; nothing is ever started by it."""
    model = _NOT_IN_TAGS.sub("-", spec.model).strip("-.")[:80] or "model"
    return f"{model}-v{_NOT_IN_TAGS.sub('-', spec.version)[:20]}-{blob_of(manifest).digest[7:19]}"
