"""Actors out of sessions and keys: the only place where roles become grants."""

from apps.accounts.models import ApiKey, Membership, Project, User
from apps.accounts.roles import BY_ROLE, BY_SCOPE, PERMISSIONS, SITE
from apps.core.actors import Actor
from apps.core.prepared import Prepared

_ROLES = Prepared(lambda user: Membership.objects.filter(user_id=user).values_list("project_id", "role"), user=0)


def actor_for_user(user: User, *, fresh: bool = True, request_id: str = "", ip: str = "") -> Actor:
    """The person as an actor: one query for the memberships (an installation's administrator holds all)."""
    if user.is_superuser:
        grants = dict.fromkeys(Project.objects.values_list("pk", flat=True), PERMISSIONS)
        site = SITE | PERMISSIONS
    else:
        grants = {project: BY_ROLE[role] for project, role in _ROLES.all(user=user.pk)}
        site = frozenset()
    return Actor(
        kind="person",
        id=user.pk,
        label=str(user),
        user_id=user.pk,
        grants=grants,
        site=site,
        sees_all=user.is_superuser,
        fresh=fresh,
        request_id=request_id,
        ip=ip,
    )


def actor_for_key(key: ApiKey, *, request_id: str = "", ip: str = "") -> Actor:
    """The key as an actor: what its scopes grant, in its own project only."""
    granted = frozenset().union(*(BY_SCOPE.get(scope, frozenset()) for scope in key.scopes))
    return Actor(
        kind="key",
        id=key.pk,
        label=str(key),
        user_id=key.created_by_id,
        grants={key.project_id: granted} if granted else {},
        request_id=request_id,
        ip=ip,
    )
