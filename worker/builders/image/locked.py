"""Packages with exact versions and hashes: read strictly from a lock, and written anew in one form only.

Nothing of the lock's text goes further than through here, so a line that is not a package cannot either.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from worker.errors import ToolError
from worker.specs import Message, gettext_noop

_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, order=True)
class Locked:
    """One package as it will be installed: any of the hashes is fine, no other bytes are."""

    name: str
    version: str
    hashes: tuple[str, ...]  # sha256:…, sorted

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> tuple[Locked, ...]:
    """The packages of a lock by name; ToolError ``bad_lock`` (permanent) names the first line that is none."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return tuple(sorted(_parse(line) for line in lines))


def write_requirements(packages: Iterable[Locked]) -> str:
    """The packages as pip reads them with ``--require-hashes``."""
    lines = [" ".join([f"{one.name}=={one.version}", *(f"--hash={each}" for each in one.hashes)]) for one in packages]
    return "".join(f"{line}\n" for line in lines)


def _parse(line: str) -> Locked:
    words = line.split()
    try:
        requirement = Requirement(words[0])
    except InvalidRequirement:
        raise _refuse(line) from None
    specifiers = list(requirement.specifier)
    is_exact = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
    hashes = [match[1] for word in words[1:] if (match := _HASH.fullmatch(word))]
    is_plain = not (requirement.url or requirement.extras or requirement.marker)
    if not (is_exact and is_plain and hashes and len(hashes) == len(words) - 1):
        raise _refuse(line)
    return Locked(canonicalize_name(requirement.name), specifiers[0].version, tuple(sorted(hashes)))


def _refuse(line: str) -> ToolError:
    words = gettext_noop("The lock of the packages has a line that is not a package with its hashes: %(line)s")
    return ToolError(Message(words, {"line": line[:200]}), kind="bad_lock", permanent=True)
