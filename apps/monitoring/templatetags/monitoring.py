"""Filters for measured values: ``{% load monitoring %}``."""

from collections.abc import Iterable

from django import template

from apps.monitoring import phrases
from apps.monitoring.models import AlertRule, Delivery

register = template.Library()


@register.filter
def figure(value: float | None) -> str:
    """A number as people write it; a dash where there is none."""
    return "–" if value is None else phrases.figure(value)


@register.filter
def with_unit(metric: str, value: float | None) -> str:
    """A value of a metric with its unit: 150 ms."""
    return phrases.with_unit(metric, value)


@register.filter
def sentence(rule: AlertRule) -> str:
    """What a rule watches, as a sentence."""
    return phrases.sentence(rule)


@register.filter
def any_queued(deliveries: Iterable[Delivery]) -> bool:
    """Whether something is still on its way, so that the page looks again."""
    return any(delivery.state == Delivery.State.QUEUED for delivery in deliveries)
