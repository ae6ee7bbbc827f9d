"""What the image with the packages is built from: a fixed template, and a context of files that we write ourselves.

Three slots are filled, each held to its own grammar: the base image, the Python in it, and the key. Whatever else
there is (the requirements, the package index, certificates) goes in as files and is never part of the template's text.
"""

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.builders.base import BuildSettings
from worker.builders.image.locked import Locked, write_requirements
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

_FOLDER = Path(__file__).parent
_BASE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"  # a registry
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_SLOTS = {"base": _BASE, "python": re.compile(r"3\.[0-9]{1,2}"), "key": re.compile(r"[0-9a-f]{64}")}


@dataclass(frozen=True)
class Context:
    """Everything that the engine is given."""

    dockerfile: str
    files: Mapping[str, bytes]

    def as_tar(self) -> bytes:
        """Regular files only, without dates: the engine's cache sees whether anything has changed."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, data in sorted({**self.files, "Dockerfile": self.dockerfile.encode()}.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o444
                tar.addfile(entry, io.BytesIO(data))
        return packed.getvalue()


def template() -> str:
    return (_FOLDER / "Dockerfile").read_text(encoding="utf-8")


def render(settings: BuildSettings, key: str) -> str:
    """The template with its slots filled; ToolError ``bad_setting`` (permanent) names a value that does not fit."""
    values = {"base": settings.base_image, "python": settings.base_python, "key": key}
    text = template()
    for slot, value in values.items():
        if not _SLOTS[slot].fullmatch(value):
            words = gettext_noop('"%(value)s" cannot be the %(slot)s of an image. Check SLIPWAY_BASE_IMAGE.')
            raise ToolError(Message(words, {"value": value[:200], "slot": slot}), kind="bad_setting", permanent=True)
        text = text.replace(f"@{slot}@", value)
    return text


def make_context(settings: BuildSettings, key: str, packages: tuple[Locked, ...]) -> Context:
    files = {
        "requirements.txt": write_requirements(packages).encode(),
        "pip.conf": _pip_settings(settings).encode(),
        "certificates.pem": Path(settings.ca_bundle).read_bytes() if settings.ca_bundle else b"",
        "healthcheck.py": healthcheck(),
    }
    return Context(render(settings, key), files)


def healthcheck() -> bytes:
    return (_FOLDER / "healthcheck.py").read_bytes()


def _pip_settings(settings: BuildSettings) -> str:
    """Where pip looks; what it installs is held by hashes, wherever it comes from."""
    wanted = {
        "index-url": settings.index_url,
        "extra-index-url": settings.torch_index_url,
        "cert": "/build/certificates.pem" if settings.ca_bundle else "",
    }
    for name, value in wanted.items():
        if not value.isprintable() or " " in value:
            words = gettext_noop("The setting %(name)s of the package index holds a space or a control character.")
            raise ToolError(Message(words, {"name": name}), kind="bad_setting", permanent=True)
    lines = [f"{name} = {value}" for name, value in wanted.items() if value]
    return "\n".join(["[global]", "disable-pip-version-check = true", "no-input = true", "timeout = 60", *lines, ""])
