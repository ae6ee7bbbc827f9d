"""What a version's pages say about its exception, and its tier in red where it has one."""

from typing import Any

from django import template

from apps.library.models import ModelVersion
from apps.library.services import names_beyond

register = template.Library()


@register.inclusion_tag("library/_exception.html")
def exception_card(version: ModelVersion, project: Any, actor: Any, csrf_token: Any) -> dict[str, Any]:
    """The exception of a version: the latest one, or that one can be asked for; nothing for all others."""
    latest = version.exceptions.first() if version.state in (ModelVersion.State.REFUSED, "retired") else None
    if version.tier == 2 or version.state in (ModelVersion.State.UPLOADED, ModelVersion.State.EXAMINING):
        latest = version.exceptions.first()
    names = names_beyond(version) if version.state == ModelVersion.State.REFUSED else []
    can_ask = bool(names) and (latest is None or latest.state not in ("asked", "granted"))
    context = {"exception": latest, "names": names, "can_ask": can_ask, "version": version}
    return {**context, "project": project, "actor": actor, "csrf_token": csrf_token}


@register.inclusion_tag("library/_tier.html")
def tier(version: ModelVersion) -> dict[str, Any]:
    """A red mark on a model of tier 2."""
    return {"is_exceptional": version.tier == 2}
