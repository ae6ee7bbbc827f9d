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


def read_version(actor: Actor, project: Project, model: str, number: int) -> dict[str, Any]:
    """One version with its evidence and files, in three queries; Missing when the actor can't see such a version."""
    rows = ModelVersion.objects.visible_to(actor).filter(model__project=project, model__name=model, number=number)
    row = rows.order_by().values(*VERSION).first()
    if row is None:
        raise Missing(_("There is no version %(number)d of “%(model)s” here.") % {"number": number, "model": model})
    parent = f"{row['parent__model__name']}/{row['parent__number']}" if row["parent__number"] else None
    found = {name: row[name] for name in FOUND}
    return {
        **shape_version(row),
        "parent": parent,
        **found,
        "checks": read_checks(row["pk"]),
        "files": read_files(row["pk"]),
    }


def read_checks(version: int) -> list[dict[str, Any]]:
    """Each line of evidence, its sentences in the caller's language."""
    rows = Check.objects.filter(version_id=version).order_by("position").values_list(*CHECK)
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
        for key, state, summary, reason, advice, details, seconds in rows
    ]


def read_files(version: int) -> list[dict[str, Any]]:
    """What was uploaded first, then what was made of it."""
    rows = VersionFile.objects.filter(version_id=version).order_by("-role", "name").values_list(*FILE)
    return [
        {"name": name, "size": size, "sha256": sha256, "role": role, "is_served": is_served}
        for name, size, sha256, role, is_served in rows
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
