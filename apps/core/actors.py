"""Who acts: a person, an API key or the system itself, and what they may do where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from django.db import models
from django.utils.translation import gettext as _

from apps.core.errors import NotAllowed


@dataclass(frozen=True)
class Actor:
    """Somebody with permissions. Built by ``apps.accounts`` from a session or a key; passed to every service.

    ``grants`` maps a project's id to the permission strings held there; ``site`` holds those that are not of any
    project (targets, projects). ``user_id`` is the person behind the session, or the one who made the key.
    ``fresh`` is False for a session whose password was last asked for too long ago for what cannot be taken back.
    """

    kind: str  # person, key, system
    id: int
    label: str
    user_id: Any = None  # an int for all but the system, which is the author of nothing
    grants: Mapping[int, frozenset[str]] = field(default_factory=dict)
    site: frozenset[str] = frozenset()
    sees_all: bool = False
    fresh: bool = True
    request_id: str = ""
    ip: str = ""

    @property
    def is_person(self) -> bool:
        return self.kind == "person"

    def may(self, permission: str, project: Any = None) -> bool:
        if self.kind == "system" or permission in self.site:
            return True
        return project is not None and permission in self.grants.get(_id(project), frozenset())

    def require(self, permission: str, project: Any = None) -> None:
        """Raise NotAllowed unless the permission is held in the project (or for the whole installation)."""
        if not self.may(permission, project):
            raise NotAllowed(
                _("Your role does not include “%(permission)s” here.") % {"permission": permission},
                advice=_("Ask an administrator of this project for a role that does."),
            )

    def require_fresh(self) -> None:
        """Raise NotAllowed for a session that somebody may have left open."""
        if not self.fresh:
            raise NotAllowed(
                _("You signed in a while ago, and this step asks for a recent proof that it is you."),
                advice=_("Confirm your password, then do it again."),
            )


SYSTEM = Actor(kind="system", id=0, label="Slipway", sees_all=True)


class Scoped(models.QuerySet):
    """A queryset that knows which project its rows belong to; another project's rows do not exist for an actor."""

    project_path = "project"

    def visible_to(self, actor: Actor) -> Self:
        if actor.sees_all:
            return self
        return self.filter(**{f"{self.project_path}__in": list(actor.grants)})


def scoped_by(path: str) -> type[Scoped]:
    """A Scoped queryset for rows that reach their project by ``path``, e.g. ``"model__project"``."""
    return type("Scoped", (Scoped,), {"project_path": path})


def _id(project: Any) -> int:
    return project if isinstance(project, int) else project.pk
