"""Builds a container image: packages once for each lock, the bundle on top, digest, bill of materials, provenance."""

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from worker import sandbox
from worker.builders.base import Builder, BuildSettings, Tell, keep_quiet
from worker.builders.bundles import pack_bundle
from worker.builders.image.assembly import Assembled, assemble
from worker.builders.image.client import RegistryClient, digest_of
from worker.builders.image.documents import Json, canonical
from worker.builders.image.locked import Locked, read_lock, write_requirements
from worker.builders.image.provenance import make_statement, resource, sign
from worker.builders.image.runtime import Runtime, ensure_runtime
from worker.builders.image.sbom import MEDIA_TYPE, make_sbom
from worker.builders.locking import Platform, for_gpus, lock, pin
from worker.builders.replaying import NO_WALL, OTHER_PYTHON, replay_once
from worker.builders.venvs import ensure_environment
from worker.errors import ToolError
from worker.specs import BuildResult, BuildSpec, Message, Step, gettext_noop

_LOCKED = gettext_noop("Exact versions and hashes of every package")
_LOCKED_FOR_GPUS = gettext_noop("Exact versions and hashes of every package, in the builds that use GPUs")
_PACKED = gettext_noop("Runtime, model and manifest, named by their digest")
_REUSED = gettext_noop("The registry has the packages already; nothing is built")
_BUILT = gettext_noop("The packages, installed by hash on %(base)s")
_ASSEMBLED = gettext_noop("%(sent).1f MB sent to the registry; no engine was needed")
_SIGNED = gettext_noop("%(packages)s packages listed, the provenance signed")


class ImageBuilder(Builder):
    """Leaves ``locks/``, ``bundles/``, ``runtimes/`` and what the replay needs below its home, the image in a registry.

    ToolError ``no_registry`` (permanent) where there is none to put images into.
    """

    def __init__(self, settings: BuildSettings | None = None) -> None:
        self.settings = settings or BuildSettings()

    def build(self, spec: BuildSpec, home: Path, tell: Tell = keep_quiet) -> BuildResult:
        if self.settings.registry is None or not self.settings.signing_keys:
            words = gettext_noop("Images need a registry, and there is none. Set SLIPWAY_REGISTRY_URL.")
            raise ToolError(Message(words), kind="no_registry", permanent=True)
        try:
            with RegistryClient(self.settings.registry) as registry:
                return _Build(self.settings, registry, spec, home.resolve(), tell).run()
        except OSError as error:
            words = gettext_noop("The build could not be stored: %(reason)s. Make room, then build again.")
            raise ToolError(Message(words, {"reason": error.strerror or str(error)}), kind="storage") from error


class _Build:
    """One build on its way."""

    def __init__(
        self, settings: BuildSettings, registry: RegistryClient, spec: BuildSpec, home: Path, tell: Tell
    ) -> None:
        self.settings, self.registry, self.spec, self.home, self.tell = settings, registry, spec, home, tell
        self.steps: list[Step] = []
        self.began = _now()

    def run(self) -> BuildResult:
        packages = self._lock()
        with self._step("bundle") as details:
            bundle_digest, bundle = pack_bundle(self.spec, self.home)
            details.append(Message(_PACKED))
        self._replay(bundle)
        runtime = self._ensure_runtime(packages)
        with self._step("assemble") as details:
            image = assemble(self.registry, self.spec, bundle, runtime)
            details.append(Message(_ASSEMBLED, {"sent": image.sent_bytes / 1e6}))
        lock_digest = digest_of(write_requirements(packages).encode()).removeprefix("sha256:")
        with self._step("provenance") as details:
            attachments = self._attach(packages, runtime, image, bundle_digest, lock_digest)
            details.append(Message(_SIGNED, {"packages": len(packages)}))
        return BuildResult(
            image.digest, image.location, "", lock_digest, steps=tuple(self.steps), attachments=attachments
        )

    def _lock(self) -> tuple[Locked, ...]:
        with self._step("lock") as details:
            pins = pin(self.spec.requirements)
            packages = read_lock(self._lock_file(for_gpus(pins) if self.spec.uses_gpus else pins))
            details.append(Message(_LOCKED_FOR_GPUS if self.spec.uses_gpus else _LOCKED))
            return packages

    def _lock_file(self, pins: Sequence[str]) -> Path:
        return lock(pins, self.home, self.settings, Platform(self.settings.base_python, platform.machine()))

    def _replay(self, bundle: Path) -> None:
        """The very versions of the image, installed here. With another Python, only the replica compares.

        For GPUs it is the same version's build for processors: this machine has no use for the other one, and the
        replica compares on its GPU before it gets traffic.
        """
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        with self._step("golden") as details:
            if not sandbox.strongest():
                details.append(Message(NO_WALL))
                return
            if self.settings.base_python != here:
                details.append(Message(OTHER_PYTHON, {"image": self.settings.base_python, "here": here}))
                return
            lock_file = self._lock_file(pin(self.spec.requirements))
            environment = ensure_environment(lock_file, self.home, self.settings)
            details.append(replay_once(bundle, environment, self.home))

    def _ensure_runtime(self, packages: tuple[Locked, ...]) -> Runtime:
        with self._step("packages") as details:
            runtime = ensure_runtime(self.registry, self.settings, packages, self.home, self.tell)
            details.append(Message(_BUILT, {"base": runtime.base}) if runtime.was_built else Message(_REUSED))
        return runtime

    def _attach(
        self, packages: tuple[Locked, ...], runtime: Runtime, image: Assembled, bundle: str, lock_digest: str
    ) -> Json:
        sbom = make_sbom(self.spec, packages, runtime, image.digest, image.location)
        statement = make_statement(
            name=image.location.rpartition("@")[0],
            digest=image.digest,
            external={"model": self.spec.model, "version": self.spec.version, "subject": self.spec.subject},
            dependencies=[
                resource(self.spec.file.name, self.spec.file.sha256),
                resource("bundle", bundle),
                resource("requirements", lock_digest),
                resource("runtime", runtime.digest),
                resource(runtime.base, runtime.base_digest),
            ],
            byproducts=[resource("sbom", digest_of(canonical(sbom))) | {"mediaType": MEDIA_TYPE}],
            times={"startedOn": self.began, "finishedOn": _now()},
        )
        return {"sbom": sbom, "provenance": sign(statement, self.settings.signing_keys[0])}

    @contextmanager
    def _step(self, name: str) -> Iterator[list[Message]]:
        """Time a part of the build; what is put into the list is shown beside it."""
        started = time.monotonic()
        details: list[Message] = []
        self.tell(f"step {name}")
        yield details
        self.steps.append(Step(name, time.monotonic() - started, details[0] if details else None))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
