"""What the engine built, brought to the registry layer by layer; what the registry has is not sent again."""

import hashlib
import json
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from worker.builders.base import Tell
from worker.builders.image.client import CONFIG, LAYER, MANIFEST, Blob, RegistryClient, blob_of
from worker.builders.image.documents import Json, canonical, descriptor
from worker.builders.locking import write_whole
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

_CHUNK = 1 << 20
_LEVEL = 4  # of compression: made once and fetched often, but somebody waits for it
_OF_THE_ENGINE = ("container", "container_config", "docker_version", "id", "parent")  # of its config, and nobody else's


def bring_image(
    registry: RegistryClient, repository: str, tag: str, saved: Path, shelf: Path, marks: Mapping[str, str], tell: Tell
) -> str:
    """Bring an exported image (``docker save``) under a tag; the digest of its manifest.

    ``shelf`` keeps which compressed bytes a layer became, so that the base image is compressed once.
    """
    with tarfile.open(saved) as tar:
        listing = _read_json(tar, "manifest.json")[0]
        config = _read_json(tar, listing["Config"])
        layers = []
        for diff_id, name in zip(config["rootfs"]["diff_ids"], listing["Layers"], strict=True):
            layers.append(_bring_layer(registry, repository, _member(tar, name), diff_id, shelf))
            tell(f"layer {len(layers)} of {len(listing['Layers'])}: {layers[-1]['size']:,} bytes")
    config_blob = blob_of(canonical({name: value for name, value in config.items() if name not in _OF_THE_ENGINE}))
    registry.upload_blob(repository, config_blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config_blob),
        "layers": layers,
        "annotations": dict(marks),
    }
    return registry.put_manifest(repository, tag, canonical(manifest))


def _bring_layer(registry: RegistryClient, repository: str, source: IO[bytes], diff_id: str, shelf: Path) -> Json:
    note = shelf / f"{diff_id.removeprefix('sha256:')}.json"
    if note.exists():
        known: Json = json.loads(note.read_bytes())
        if registry.blob_size(repository, known["digest"]) == known["size"]:
            return known
    with tempfile.TemporaryFile(dir=shelf) as scratch:
        blob = _compress(source, scratch, diff_id)
        registry.upload_blob(repository, blob)
    made = descriptor(f"{LAYER}+gzip", blob)
    write_whole(note, json.dumps(made))
    return made


def _compress(source: IO[bytes], scratch: IO[bytes], diff_id: str) -> Blob:
    plain, packed, size = hashlib.sha256(), hashlib.sha256(), 0
    gzip = zlib.compressobj(_LEVEL, wbits=31)
    while chunk := source.read(_CHUNK):
        plain.update(chunk)
        size += _put(gzip.compress(chunk), scratch, packed)
    size += _put(gzip.flush(), scratch, packed)
    if f"sha256:{plain.hexdigest()}" != diff_id:
        raise _refuse(f"a layer's bytes are not {diff_id}")
    return Blob(f"sha256:{packed.hexdigest()}", size, lambda: _from_start(scratch))


def _put(data: bytes, scratch: IO[bytes], seen: Any) -> int:
    seen.update(data)
    return scratch.write(data)


def _from_start(scratch: IO[bytes]) -> Any:
    scratch.seek(0)
    while chunk := scratch.read(_CHUNK):
        yield chunk


def _read_json(tar: tarfile.TarFile, name: str) -> Any:
    try:
        return json.load(_member(tar, name))
    except ValueError:
        raise _refuse(f"{name} is not JSON") from None


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise _refuse(f"{name} is missing")
    return file


def _refuse(reason: str) -> ToolError:
    words = gettext_noop("What the build host exported is not an image: %(reason)s.")
    return ToolError(Message(words, {"reason": reason}), kind="build_host")
