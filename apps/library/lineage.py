"""Where a version comes from and what became of it, as columns of a small graph read from left to right."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.library.models import ModelVersion, VersionFile


@dataclass(frozen=True)
class Step:
    """One box of the graph: what it is, its name, a line about it, and where it leads."""

    kind: str
    icon: str
    name: str
    about: str = ""
    digest: str = ""
    href: str = ""
    is_here: bool = False


def draw_lineage(version: ModelVersion) -> list[list[Step]]:
    """Columns from the origin to what is served; the boxes of one column stand side by side in time."""
    files = list(version.files.all())
    sources = [_file(file) for file in files if file.role == VersionFile.Role.SOURCE]
    converted = [_file(file) for file in files if file.role == VersionFile.Role.CONVERTED]
    origin = [_version(version.parent)] if version.parent else []
    children = [_version(child) for child in version.children.select_related("model__project")]
    columns = [[*origin, _person(version)], _shortened(sources), [_version(version, is_here=True)], converted, children]
    return [column for column in columns if column]


def _person(version: ModelVersion) -> Step:
    via = str(version.key) if version.key else ""
    return Step(_("Uploaded by"), "user-round", str(version.uploaded_by), via)


def _file(file: VersionFile) -> Step:
    about = _("This is what runs.") if file.is_served else ""
    if file.role == VersionFile.Role.SOURCE:
        return Step(_("Uploaded file"), "file", file.name, about, file.artifact_id)
    return Step(_("Converted"), "repeat-2", file.name, about, file.artifact_id)


def _shortened(steps: list[Step], limit: int = 4) -> list[Step]:
    if len(steps) <= limit:
        return steps
    rest: dict[str, Any] = {"kind": _("Uploaded files"), "icon": "files"}
    return [*steps[: limit - 1], Step(name=_("and %(count)d more") % {"count": len(steps) - limit + 1}, **rest)]


def _version(version: ModelVersion, *, is_here: bool = False) -> Step:
    href = reverse("library:version", args=[version.project.slug, version.model.name, version.number])
    return Step(_("Version"), "box", str(version), version.framework, version.digest, "" if is_here else href, is_here)
