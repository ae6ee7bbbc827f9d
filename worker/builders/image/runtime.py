"""The image with the packages: found in the registry by its key, or built once for every model with the same lock.

The tag is how it is found and never how it is trusted: the first time a data folder meets a key it writes down the
digest, and from then on nothing else is taken for it, whatever the tag says by then.
"""

import hashlib
import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.builders.base import BuildSettings, Tell
from worker.builders.image.client import RegistryClient
from worker.builders.image.dockerfile import healthcheck, make_context, template
from worker.builders.image.documents import Json, canonical
from worker.builders.image.engine import Engine
from worker.builders.image.locked import Locked, write_requirements
from worker.builders.image.saved import bring_image
from worker.builders.locking import write_whole
from worker.builders.venvs import only_one
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

REPOSITORY = "runtimes"
BASE, BASE_DIGEST = "slipway.base", "slipway.base.digest"  # annotations of its manifest


@dataclass(frozen=True)
class Runtime:
    """An image with base and packages, without a model."""

    key: str
    digest: str
    manifest: Json
    config: Json
    was_built: bool = False

    @property
    def base(self) -> str:
        return self._mark(BASE)

    @property
    def base_digest(self) -> str:
        return self._mark(BASE_DIGEST)

    def _mark(self, name: str) -> str:
        return str((self.manifest.get("annotations") or {}).get(name, ""))


def runtime_key(settings: BuildSettings, packages: Sequence[Locked]) -> str:
    """What decides the packages' image: template, base, Python, machine and every package by hash; no model."""
    facts = {
        "template": hashlib.sha256(template().encode() + healthcheck()).hexdigest(),
        "base": settings.base_image,
        "python": settings.base_python,
        "machine": platform.machine(),
        "requirements": write_requirements(packages),
    }
    return hashlib.sha256(canonical(facts)).hexdigest()


def ensure_runtime(
    registry: RegistryClient, settings: BuildSettings, packages: tuple[Locked, ...], home: Path, tell: Tell
) -> Runtime:
    """The image of these packages, built now if the registry does not have it.

    ToolError ``digest_mismatch`` where the registry's bytes are not those written down.
    """
    key, shelf = runtime_key(settings, packages), home / "runtimes"
    shelf.mkdir(parents=True, exist_ok=True)
    with only_one(shelf / f"{key}.lock"):
        digest = find_runtime(registry, key, shelf)
        was_built = digest is None
        if digest is None:
            tell(f"no image with these packages yet: building {key[:12]} on {settings.build_host}")
            digest = _build(registry, settings, packages, key, shelf, tell)
        write_whole(shelf / f"{key}.json", json.dumps({"digest": digest}))
    return _open(registry, key, digest, was_built)


def find_runtime(registry: RegistryClient, key: str, shelf: Path) -> str | None:
    """The digest of the image of that key: the one written down, else the one under the tag; None: build it."""
    repository, note = registry.address.repository(REPOSITORY), shelf / f"{key}.json"
    reference = json.loads(note.read_bytes())["digest"] if note.exists() else key
    found = registry.get_manifest(repository, reference)
    return found[1] if found else None


def _build(
    registry: RegistryClient,
    settings: BuildSettings,
    packages: tuple[Locked, ...],
    key: str,
    shelf: Path,
    tell: Tell,
) -> str:
    context = make_context(settings, key, packages)
    layers = shelf / "layers"
    layers.mkdir(exist_ok=True)
    with Engine(settings) as engine, tempfile.TemporaryDirectory(dir=shelf, prefix=".saved-") as scratch:
        saved = Path(scratch, "image.tar")
        with engine.built(context, key, tell) as image:
            base = engine.base()
            engine.save(image, saved)
        marks = {BASE: base.name, BASE_DIGEST: base.digest}
        return bring_image(registry, registry.address.repository(REPOSITORY), key, saved, layers, marks, tell)


def _open(registry: RegistryClient, key: str, digest: str, was_built: bool) -> Runtime:
    repository = registry.address.repository(REPOSITORY)
    found = registry.get_manifest(repository, digest)
    if found is None:
        words = gettext_noop("The packages were removed from the registry while they were needed; it is tried again.")
        raise ToolError(Message(words), kind="registry")
    manifest: Json = json.loads(found[0])
    config: Json = json.loads(registry.read_blob(repository, manifest["config"]["digest"]))
    return Runtime(key, digest, manifest, config, was_built)
