"""A small image for tests of drivers: Python out of the base image, and a server that misbehaves on request."""

import functools
import io
import re
import tarfile
from pathlib import Path
from typing import Any

from tests.engines.base_images import base_tar
from tests.engines.registries import Registry
from worker.builders.image.client import CONFIG, LAYER, MANIFEST, Blob, RegistryClient, blob_of
from worker.builders.image.dockerfile import healthcheck
from worker.builders.image.documents import canonical, descriptor

_LIBRARIES = "c|m|z|expat|crypto|ssl|ffi|dl|pthread|rt|util|resolv"
_KEPT = re.compile(
    r"\./(usr|usr/bin|usr/lib|bin|lib|lib64|etc|tmp|usr/bin/(python3(\.11)?|dash|sh)|usr/lib/python3\.11(/.*)?|usr/lib64.*"
    rf"|usr/lib/[a-z0-9_]+-linux-gnu|usr/lib/[a-z0-9_]+-linux-gnu/(ld-linux.*|lib({_LIBRARIES})[.-][^/]*))"
)
_LEFT_OUT = ("__pycache__", "/config-3.11", "/lib2to3", "/idlelib", "/ensurepip")


def push_small_image(registry: Registry, model: str = "small", note: str = "", subject: str = "") -> str:
    """Make the image and put it into the registry; its location, by digest. Another ``note`` gives another digest.

    What runs of it proves to be of that ``subject``.
    """
    layer = blob_of(_layer())
    config = blob_of(canonical(_config(layer, note, subject)))
    repository = f"{registry.prefix}/{model}"
    with RegistryClient(registry.access) as client:
        for blob in (layer, config):
            client.upload_blob(repository, blob)
        digest = client.put_manifest(repository, "latest", canonical(_manifest(config, layer)))
    return f"{registry.address}/{repository}@{digest}"


def _config(layer: Blob, note: str, subject: str) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "10001:10001",
            "Entrypoint": ["/opt/environment/bin/python", "-I", "-S", "/opt/server.py"],
            "Labels": {"slipway.runtime": "tests", "note": note},
            "Env": ["PATH=/usr/bin:/bin", *([f"SUBJECT={subject}"] if subject else [])],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }


def _manifest(config: Blob, layer: Blob) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer)],
    }


@functools.cache
def _layer() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(base_tar()) as base, tarfile.open(fileobj=packed, mode="w") as layer:
        for member in base:
            if _KEPT.fullmatch(member.name) and not any(part in member.name for part in _LEFT_OUT):
                layer.addfile(member, base.extractfile(member) if member.isreg() else None)
        _add_link(layer, "./opt/environment/bin/python", "/usr/bin/python3")
        _add_file(layer, "./opt/server.py", Path(__file__).with_name("server.py").read_bytes())
        _add_file(layer, "./opt/healthcheck.py", healthcheck())
    return packed.getvalue()


def _add_link(layer: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    layer.addfile(link)


def _add_file(layer: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o444
    layer.addfile(entry, io.BytesIO(data))
