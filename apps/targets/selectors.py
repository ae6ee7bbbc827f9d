"""Reading targets, environments and endpoints."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.targets.configs import machines_of
from apps.targets.models import Endpoint, Environment, Target


def get_endpoint(actor: Actor, project: Project, name: str) -> Endpoint:
    found = endpoints(actor, project).filter(name=name).first()
    if found is None:
        raise Missing(_("There is no endpoint “%(name)s” in this project.") % {"name": name})
    return found


def endpoints(actor: Actor, project: Project) -> QuerySet[Endpoint]:
    rows = Endpoint.objects.visible_to(actor).filter(project=project)
    return rows.select_related("project", "environment__target", "created_by")


def get_environment(actor: Actor, project: Project, name: str) -> Environment:
    found = environments(actor, project).filter(name=name).first()
    if found is None:
        raise Missing(_("There is no environment “%(name)s” in this project.") % {"name": name})
    return found


def environments(actor: Actor, project: Project) -> QuerySet[Environment]:
    return Environment.objects.visible_to(actor).filter(project=project).select_related("target")


def targets() -> QuerySet[Target]:
    """Every target of the installation; whoever is signed in may know of them (never of their credentials)."""
    return Target.objects.all()


def get_target(name: str) -> Target:
    found = Target.objects.filter(name=name).first()
    if found is None:
        raise Missing(_("There is no target “%(name)s”.") % {"name": name})
    return found


def node_names(target: Target) -> set[str]:
    """The machines of the target: those that the last check saw, and those that are named in its settings."""
    named = {machine.name for machine in machines_of(target.kind, target.config)}
    return named | {node["name"] for node in target.nodes}


def nodes_of(target: Target) -> list[dict[str, Any]]:
    """The machines as the last check saw them, each with what a bar needs: how much is taken of what there is."""
    return [_with_use(node) for node in target.nodes]


def _with_use(node: dict[str, Any]) -> dict[str, Any]:
    load, owners, seen_at = node.get("load"), dict(node.get("owners") or {}), node.get("seen_at")
    ours = owners.pop(settings.SLIPWAY_INSTANCE, 0)
    return {
        **node,
        "cpus_used": None if load is None else min(load, node["cpus"]),
        "memory_used_bytes": node["memory_bytes"] - node["memory_free_bytes"],
        "containers": {"ours": ours, "foreign": owners.pop("", 0), "others": sum(owners.values())},
        "has_containers": bool(node.get("owners")),
        "seen_at": parse_datetime(seen_at) if seen_at else None,
    }


def get_node(target: Target, name: str) -> dict[str, Any]:
    """A machine of the target as the last check saw it; one that is named but was not seen yet has no figures."""
    for node in nodes_of(target):
        if node["name"] == name:
            return node
    if name in node_names(target):
        return {"name": name, "state": "unchecked"}
    raise Missing(_("The target “%(target)s” has no machine “%(name)s”.") % {"target": target.name, "name": name})
