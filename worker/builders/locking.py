"""Exact versions and hashes for a set of requirements, worked out once."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from worker.builders.base import BuildSettings
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

RUNTIME_PACKAGES = ("httptools", "numpy", "orjson", "uvloop")  # what worker/runtime imports itself
# What uses a GPU in place of what does not, with CUDA's own libraries: a host brings nothing but its driver.
GPU_PACKAGES = {"onnxruntime": "onnxruntime-gpu[cuda,cudnn]"}
_SECONDS = 900
_PASSED_ON = ("HOME", "PATH", "LANG", "TMPDIR", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY",
              "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")  # fmt: skip
_PASSED_ON_PREFIXES = ("UV_", "XDG_")


def pin(requirements: Iterable[str]) -> tuple[str, ...]:
    """The sorted set of exact pins: those given, and the runtime's own at the versions of this process.

    ToolError ``bad_requirement`` (permanent) names the first that is not exactly ``name==version``.
    """
    pins = {package: f"{package}=={version(package)}" for package in RUNTIME_PACKAGES}
    for text in requirements:
        name, pinned = _parse(text)
        pins[name] = pinned
    return tuple(sorted(pins.values()))


def for_gpus(pins: Iterable[str]) -> tuple[str, ...]:
    """The same pins for machines with NVIDIA's GPUs: of each package the build that uses them, in the same version."""
    parts = (each.partition("==") for each in pins)
    return tuple(sorted(f"{GPU_PACKAGES.get(name, name)}=={version}" for name, _equals, version in parts))


def _parse(text: str) -> tuple[str, str]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise _refuse(text) from None
    specifiers = list(requirement.specifier)
    is_exact = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
    if not is_exact or requirement.url or requirement.extras or requirement.marker:
        raise _refuse(text)
    name = canonicalize_name(requirement.name)
    return name, f"{name}=={specifiers[0].version}"


def _refuse(text: str) -> ToolError:
    words = gettext_noop('The requirement "%(requirement)s" is not exact. Write it as name==version.')
    return ToolError(Message(words, {"requirement": text[:200]}), kind="bad_requirement", permanent=True)


@dataclass(frozen=True)
class Platform:
    """Where packages will run, if not here: on Linux with glibc, e.g. ``Platform("3.11", "x86_64")``."""

    python: str
    machine: str


def lock(pins: Sequence[str], home: Path, settings: BuildSettings, place: Platform | None = None) -> Path:
    """The lock file of these pins: every package they pull in, with version and hashes; worked out at most once."""
    head, options = _for_here() if place is None else _for_platform(place)
    wanted = head + "".join(f"{each}\n" for each in pins)
    path = home / "locks" / f"{hashlib.sha256(wanted.encode()).hexdigest()}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        hashed = ["--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate"]
        words = ["pip", "compile", "-", *hashed, *options]
        body = run_uv(words, settings, folder=path.parent, stdin=wanted)
        write_whole(path, head + body)
    return path


def _for_here() -> tuple[str, list[str]]:
    head = f"# {platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}\n"
    return head, ["--python", sys.executable]


def _for_platform(place: Platform) -> tuple[str, list[str]]:
    """The first line says what the lock is for, and nothing of this machine: the same lock comes out everywhere."""
    options = ["--python-version", place.python, "--python-platform", f"{place.machine}-unknown-linux-gnu"]
    return f"# Python {place.python} linux {place.machine}\n", options


def write_whole(path: Path, text: str) -> None:
    """Write a file so that others see it complete or not at all, also after a crash."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def run_uv(words: Sequence[str], settings: BuildSettings, *, folder: Path, stdin: str = "") -> str:
    """Run uv and return what it printed; ToolError ``packages`` carries the line in which it says why not."""
    options = ["--quiet", *(["--offline"] if settings.offline else [])]
    if words[0] == "pip":
        options += _sources(settings)
    try:
        done = subprocess.run(
            [uv.find_uv_bin(), *words, *options],
            input=stdin, capture_output=True, text=True, timeout=_SECONDS, cwd=folder, env=_environment(settings),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _package_trouble(str(error)) from error
    if done.returncode:
        raise _package_trouble(done.stderr)
    return done.stdout


def _sources(settings: BuildSettings) -> list[str]:
    """Where packages come from. With two indexes the best version counts: what is installed is held by its hash."""
    options = ["--index-url", settings.index_url] if settings.index_url else []
    options += ["--find-links", settings.find_links] if settings.find_links else []
    if settings.torch_index_url:
        options += ["--extra-index-url", settings.torch_index_url, "--index-strategy", "unsafe-best-match"]
    return options


def _environment(settings: BuildSettings) -> dict[str, str]:
    """What uv needs to know of the machine, and none of the worker's own secrets."""
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return kept | ({"SSL_CERT_FILE": settings.ca_bundle} if settings.ca_bundle else {"UV_SYSTEM_CERTS": "1"})


def _package_trouble(output: str) -> ToolError:
    lines = [line.strip(" ×╰─▶│├") for line in output.splitlines() if line.strip(" ×╰─▶│├")] or ["uv said nothing"]
    is_unknown = any("No solution found" in line or "not found in the package registry" in line for line in lines)
    words = gettext_noop(
        "The packages could not be installed: %(detail)s. Check the versions, the package index and its certificates."
    )
    detail = " ".join(lines)[:500]
    return ToolError(Message(words, {"detail": detail}), kind="packages", permanent=is_unknown, log=lines[-1][:500])
