"""Reading projects and their people, as far as an actor can see."""

from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing


def get_project(actor: Actor, slug: str, permission: str = "project.view") -> Project:
    """The project at this address; Missing when it is not the actor's to see. Requires ``permission`` in it."""
    project = Project.objects.visible_to(actor).filter(slug=slug).first()
    if project is None:
        raise Missing(_("There is no project “%(slug)s” for you.") % {"slug": slug})
    actor.require(permission, project)
    return project
