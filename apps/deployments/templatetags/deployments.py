"""What runs where, for the pages of targets: they are below deployments and cannot ask by themselves."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import template

from apps.core.actors import Actor
from apps.deployments.selectors import Load, running_on
from apps.targets.models import Target

register = template.Library()


@register.simple_tag
def find_running(actor: Actor, targets: Iterable[Target]) -> dict[int, Load]:
    """What runs on these targets, by target: ``{% find_running actor targets as running %}``."""
    return running_on(actor, targets)


@register.filter
def of(found: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping has under a key, or None."""
    return found.get(key)
