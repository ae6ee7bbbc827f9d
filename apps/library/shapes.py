"""What the API answers about the library, read straight into plain mappings.

``serializers`` declares the same shapes for the schema, and a test holds the two together: building a serializer's
fields for each answer, and rows as objects for each line of a list, cost several times what reading them does.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.core.messages import say
from apps.core.prepared import MAX_INT, Prepared
from apps.library.models import Check, ModelVersion, VersionFile

Row = Mapping[str, Any]

MODEL = (
    "name",
    "description",
    "task",
    "tags",
    "created_by__email",
    "created_by__name",
    "created_at",
    "updated_at",
    "latest_number",
    "latest_state",
    "latest_framework",
    "latest_at",
)
SHORT = (
    "state",
    "digest",
    "size",
    "framework",
    "framework_version",
    "description",
    "labels",
    "created_at",
    "examined_at",
)
FOUND = (
    "card",
    "format",
    "tier",
    "signature",
    "served_format",
    "requirements",
    "class_labels",
    "golden",
    "profile",
    "parity",
)
VERSION_SHORT = ("model__name", "number", "uploaded_by__email", *SHORT)
VERSION = ("pk", "parent__model__name", "parent__number", *VERSION_SHORT, *FOUND)
CHECK = ("key", "state", "summary", "reason", "advice", "details", "seconds")
FILE = ("name", "artifact__size", "artifact_id", "role", "is_served")


_VERSION = Prepared(
    lambda project, model, number: (
        ModelVersion.objects.filter(model__project_id=project, model__name=model, number=number)
        .order_by()
        .values_list(*VERSION)
    ),
    project=0,
    model="",
    number=0,
)
_CHECKS = Prepared(
    lambda version: Check.objects.filter(version_id=version).order_by("position").values_list(*CHECK), version=0
)
_FILES = Prepared(
    lambda version: VersionFile.objects.filter(version_id=version).order_by("-role", "name").values_list(*FILE),
    version=0,
)


def read_version(actor: Actor, project: Project, model: str, number: int) -> dict[str, Any]:
    """One version with its evidence and files, in three queries; Missing when the actor can't see such a version."""
    may_be = (actor.sees_all or project.pk in actor.grants) and number <= MAX_INT
    found = _VERSION.first(project=project.pk, model=model, number=number) if may_be else None
    if found is None:
        raise Missing(_("There is no version %(number)d of “%(model)s” here.") % {"number": number, "model": model})
    row = dict(zip(VERSION, found, strict=True))
    return {
        **shape_version(row),
        "parent": f"{row['parent__model__name']}/{row['parent__number']}" if row["parent__number"] else None,
        **{name: row[name] for name in FOUND},
        "checks": read_checks(row["pk"]),
        "files": read_files(row["pk"]),
    }


def show_new(version: ModelVersion) -> dict[str, Any]:
    """A version made a moment ago, of which all but its files is at hand: nothing was found out about it yet."""
    parent = version.parent
    return {
        "model": version.model.name,
        "version": version.number,
        **{name: getattr(version, name) for name in SHORT},
        "uploaded_by": version.uploaded_by.email,
        "parent": f"{parent.model.name}/{parent.number}" if parent else None,
        **{name: getattr(version, name) for name in FOUND},
        "checks": [],
        "files": read_files(version.pk),
    }


def read_checks(version: int) -> list[dict[str, Any]]:
    """Each line of evidence, its sentences in the caller's language."""
    return [
        {
            "check": key,
            "state": state,
            "summary": say(summary),
            "reason": say(reason),
            "advice": say(advice),
            "details": details,
            "seconds": seconds,
        }
        for key, state, summary, reason, advice, details, seconds in _CHECKS.all(version=version)
    ]


def read_files(version: int) -> list[dict[str, Any]]:
    """What was uploaded first, then what was made of it."""
    return [
        {"name": name, "size": size, "sha256": sha256, "role": role, "is_served": is_served}
        for name, size, sha256, role, is_served in _FILES.all(version=version)
    ]


def shape_version(row: Row) -> dict[str, Any]:
    """A row of ``VERSION_SHORT`` as a list shows it."""
    return {
        "model": row["model__name"],
        "version": row["number"],
        **{name: row[name] for name in SHORT},
        "uploaded_by": row["uploaded_by__email"],
    }


def shape_model(row: Row) -> dict[str, Any]:
    """A row of ``MODEL``, with its newest version in short."""
    latest = {
        "number": row["latest_number"],
        "state": row["latest_state"],
        "framework": row["latest_framework"],
        "created_at": row["latest_at"],
    }
    return {
        "name": row["name"],
        "description": row["description"],
        "task": row["task"],
        "tags": row["tags"],
        "owner": row["created_by__email"],
        "latest": latest if row["latest_number"] else None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
