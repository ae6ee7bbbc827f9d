"""Making and changing projects."""

import re
from typing import Any

from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Project
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
DEFAULT_QUOTA = 50 << 30
QUOTA_LIMIT = 1 << 60
RESERVED = frozenset({"api", "healthz", "internal", "metrics", "new", "static", "v2"})  # first parts of other addresses


@transaction.atomic
def create_project(
    *, actor: Actor, slug: str, name: str, description: str = "", quota_bytes: int = DEFAULT_QUOTA
) -> Project:
    """A new project, administered by the actor. Its slug stays, since gateway addresses begin with it."""
    actor.require("project.create")
    refuse_slug(slug)
    refuse_quota(quota_bytes)
    project = Project.objects.create(
        slug=slug, name=name.strip() or slug, description=description.strip(), quota_bytes=quota_bytes
    )
    if actor.is_person:
        Membership.objects.create(project=project, user_id=actor.id, role="administrator")
    record(actor, "project.created", project, after={"slug": slug, "name": project.name, "quota_bytes": quota_bytes})
    return project


@transaction.atomic
def edit_project(
    *, actor: Actor, project: Project, name: str, description: str, quota_bytes: int | None = None
) -> Project:
    """Change what a project is called and says of itself; its quota only by who administers the installation."""
    actor.require("project.edit", project)
    if not name.strip():
        raise Invalid(_("A project needs a name."), errors={"name": [_("Enter a name.")]})
    after: dict[str, Any] = {"name": name.strip(), "description": description.strip()}
    if quota_bytes is not None and quota_bytes != project.quota_bytes:
        actor.require("project.set_quota")
        refuse_quota(quota_bytes)
        after["quota_bytes"] = quota_bytes
    before = {field: getattr(project, field) for field in after}
    Project.objects.filter(pk=project.pk).update(**after)
    for field, value in after.items():
        setattr(project, field, value)
    record(actor, "project.edited", project, before=before, after=after)
    return project


def refuse_quota(size: int) -> None:
    """Raise Invalid for a quota that cannot be. One under what is stored can: then nothing more gets in."""
    if not 0 <= size <= QUOTA_LIMIT:
        reason = _("Choose between 0 and %(limit)s.") % {"limit": filesizeformat(QUOTA_LIMIT)}
        raise Invalid(_("The project cannot have this quota."), errors={"quota_bytes": [reason]})


def refuse_slug(slug: str) -> None:
    """Raise Invalid for an address that is malformed, reserved or taken."""
    if not SLUG.fullmatch(slug):
        reason = _("Use 1 to 40 small letters, digits and hyphens, beginning and ending with a letter or digit.")
    elif slug in RESERVED:
        reason = _("“%(slug)s” is needed for other addresses. Choose another.") % {"slug": slug}
    elif Project.objects.filter(slug=slug).exists():
        reason = _("There is a project “%(slug)s” already. Choose another address.") % {"slug": slug}
    else:
        return
    raise Invalid(_("The project cannot have this address."), errors={"slug": [reason]})
