"""A version's files as local paths, for who examines, builds or downloads them. Every byte is hashed again first."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from apps.core.errors import Missing
from apps.library.models import ModelVersion, VersionFile
from apps.library.store import get_store


@dataclass(frozen=True)
class LocalFile:
    """One file on this machine: read-only, under a path named by its digest, with the name it has in the version."""

    path: Path
    name: str
    sha256: str
    size: int


def fetch_sources(version: ModelVersion, folder: Path) -> tuple[LocalFile, ...]:
    """The files as they were uploaded; copies, where the store needs any, are made in ``folder``."""
    return _fetched(version.files.filter(role=VersionFile.Role.SOURCE).select_related("artifact"), folder)


def fetch_served(version: ModelVersion, folder: Path) -> LocalFile:
    """The file that will run; Missing while the version has none."""
    found = _fetched(version.files.filter(is_served=True).select_related("artifact"), folder)
    if not found:
        raise Missing(_("%(version)s has no file that could be served.") % {"version": version})
    return found[0]


def _fetched(files: Iterable[VersionFile], folder: Path) -> tuple[LocalFile, ...]:
    store = get_store()
    return tuple(
        LocalFile(store.fetch_verified(file.artifact_id, folder), file.name, file.artifact_id, file.artifact.size)
        for file in files
    )
