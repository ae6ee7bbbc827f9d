"""Reading projects, their people and their keys, as far as an actor can see."""

from django.db.models import Count, Prefetch, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import ApiKey, Invitation, Membership, Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.core.prepared import Prepared

_BY_SLUG = Prepared(lambda slug: Project.objects.filter(slug=slug).order_by(), slug="")


def get_project(actor: Actor, slug: str, permission: str = "project.view") -> Project:
    """The project at this address; Missing when it is not the actor's to see. Requires ``permission`` in it."""
    project = _BY_SLUG.first(slug=slug)
    if project is None or not (actor.sees_all or project.pk in actor.grants):
        raise Missing(
            _("There is no project “%(slug)s” for you.") % {"slug": slug},
            advice=_("It may have another address, or you are not a member of it."),
        )
    actor.require(permission, project)
    return project


def projects(actor: Actor) -> QuerySet[Project]:
    """Every project of the actor, with ``people`` (how many) and ``mine`` (their own membership in a list, or none)."""
    own = Membership.objects.filter(user_id=actor.user_id)
    rows = Project.objects.visible_to(actor).annotate(people=Count("memberships"))
    return rows.prefetch_related(Prefetch("memberships", own, to_attr="mine")).order_by("name")


def last_project(actor: Actor, slug: str | None) -> Project | None:
    """The project worked in last, while it is still the actor's, else their first."""
    rows = Project.objects.visible_to(actor)
    return (rows.filter(slug=slug).first() if slug else None) or rows.order_by("pk").first()


def members(actor: Actor, project: Project) -> QuerySet[Membership]:
    return (
        Membership.objects.visible_to(actor)
        .filter(project=project)
        .select_related("user", "project")
        .order_by("user__name", "pk")
    )


def get_member(actor: Actor, project: Project, pk: int) -> Membership:
    found = members(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("This person is not a member of the project any more."))
    return found


def open_invitations(actor: Actor, project: Project) -> QuerySet[Invitation]:
    rows = Invitation.objects.visible_to(actor).filter(project=project, used_at=None, expires_at__gt=timezone.now())
    return rows.select_related("invited_by", "project").order_by("-created_at")


def get_invitation(actor: Actor, project: Project, pk: int) -> Invitation:
    found = open_invitations(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("This invitation is not open any more."))
    return found


def keys(actor: Actor, project: Project) -> QuerySet[ApiKey]:
    rows = ApiKey.objects.visible_to(actor).filter(project=project)
    return rows.select_related("created_by", "project", "replaced_by")


def get_key(actor: Actor, project: Project, key_id: str) -> ApiKey:
    found = keys(actor, project).filter(key_id=key_id).first()
    if found is None:
        raise Missing(_("There is no such key in this project."))
    return found


def managed_keys(actor: Actor) -> QuerySet[ApiKey]:
    """Keys of all projects whose keys the actor manages."""
    rows = ApiKey.objects.visible_to(actor).select_related("created_by", "project", "replaced_by")
    rows = rows.order_by("-created_at", "-pk")
    if not actor.may("key.manage"):
        rows = rows.filter(project__in=[pk for pk in actor.grants if actor.may("key.manage", pk)])
    return rows
