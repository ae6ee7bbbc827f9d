"""The packages that pins pull in, with their licences, as the metadata installed here tells them."""

from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from worker.builders.locking import pin

_LONGEST = 60  # characters of a licence's name; some packages put the whole text there


def list_packages(requirements: Iterable[str]) -> list[dict[str, str]]:
    """What will be installed to serve: ``name``, ``version`` and ``licence`` of the pins and all they need.

    Versions of what is not pinned are those installed here; the lock of a build may choose newer ones. A package
    that is not installed here is left out with what it needs. ToolError where a requirement is not exact.
    """
    found: dict[str, dict[str, str]] = {}
    waiting = [Requirement(text) for text in pin(requirements)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = {"name": name, "version": distribution.version, "licence": licence_of(distribution.metadata)}
        waiting += [Requirement(text) for text in distribution.requires or ()]
    return sorted(found.values(), key=lambda package: package["name"])


def licence_of(about: metadata.PackageMetadata) -> str:
    """The SPDX expression, else what the classifiers say, else a short name of its own; empty where none is told."""
    if "License-Expression" in about:
        return str(about["License-Expression"])
    classified = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or () if text.startswith("License ::")
    ]
    if classified:
        return ", ".join(sorted({text for text in classified if text != "OSI Approved"}))
    first = str((about.get_all("License") or [""])[0]).strip().partition("\n")[0]
    return first if len(first) <= _LONGEST else ""
