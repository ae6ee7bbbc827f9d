"""What an evaluation does to alerts: begin, fire, resolve, each with its entry in the log and its notices.

Beginning to wait (pending), and ceasing to before anything fired, is bookkeeping: nobody is told and the log says
nothing.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.actors import SYSTEM
from apps.core.errors import StateConflict
from apps.core.states import advance
from apps.monitoring import rules
from apps.monitoring.deliveries import queue
from apps.monitoring.measuring import measure
from apps.monitoring.metrics import SEVERITIES
from apps.monitoring.models import Alert, AlertRule
from apps.monitoring.phrases import condition_of, sentence, with_unit


def evaluate_rules(now: datetime | None = None) -> int:
    """Judge every enabled rule by what is measured now; return how many alerts moved.

    A person who acknowledges at the same moment wins: the next evaluation sees it.
    """
    now = now or timezone.now()
    enabled = list(
        AlertRule.objects.filter(is_enabled=True).select_related("endpoint", "project").prefetch_related("channels")
    )
    values = measure(enabled, now)
    standing = {alert.rule_id: alert for alert in Alert.objects.exclude(state=Alert.State.RESOLVED)}
    moved = 0
    for rule in enabled:
        try:
            moved += _settle(rule, standing.get(rule.pk), values.get(rule.pk), now)
        except (StateConflict, IntegrityError):  # somebody else moved or opened it at this moment
            continue
    return moved


def end_alert(alert: Alert, now: datetime) -> None:
    """Resolve an open alert and tell those who were told that it fired. Inside the caller's transaction."""
    had_fired = alert.fired_at is not None
    advance(alert, Alert.State.RESOLVED, resolved_at=now)
    if had_fired:
        record(SYSTEM, "alert.resolved", alert, after={"value": alert.value})
        tell(alert, "alert.resolved")


@translation.override(settings.LANGUAGE_CODE)
def tell(alert: Alert, event: str) -> None:
    """Queue a notice of what became of the alert for every enabled channel of its rule.

    It is written in the installation's own language, not in that of the person who happens to end an alert.
    """
    rule = alert.rule
    for channel in rule.channels.all():
        if channel.is_enabled:
            queue(
                channel,
                event,
                title=_title(rule, event),
                text=f"{sentence(rule)}. {_measured(alert)}",
                alert=alert,
                path=reverse("monitoring:alerts", kwargs={"project": rule.project.slug}) + f"#alert-{alert.pk}",
                data=_facts(alert),
            )


def _settle(rule: AlertRule, alert: Alert | None, value: float | None, now: datetime) -> bool:
    """Bring one rule's alert to where it should stand; True when it moved from one state to another."""
    before = rules.Standing(alert.state, alert.since, alert.calm_since) if alert else None
    after = rules.judge(condition_of(rule), before, value, now)
    if after is None or value is None:
        return False
    if alert is None:
        alert = Alert.objects.create(rule=rule, value=value, since=after.since)
        if after.state == rules.PENDING:
            return True
    alert.rule = rule
    if after.state == alert.state:
        Alert.objects.filter(pk=alert.pk, state=alert.state).update(value=value, calm_since=after.calm_since)
        return False
    _move(alert, after, value, now)
    return True


@transaction.atomic
def _move(alert: Alert, to: rules.Standing, value: float, now: datetime) -> None:
    alert.value = value
    Alert.objects.filter(pk=alert.pk).update(value=value)
    if to.state == rules.RESOLVED:
        end_alert(alert, now)
        return
    advance(alert, Alert.State.FIRING, fired_at=now, calm_since=None)
    record(SYSTEM, "alert.fired", alert, after={"value": value, "threshold": alert.rule.threshold})
    tell(alert, "alert.firing")


def _title(rule: AlertRule, event: str) -> str:
    if event == "alert.resolved":
        return _("Resolved: %(rule)s") % {"rule": rule.name}
    return _("Firing (%(severity)s): %(rule)s") % {"severity": SEVERITIES[rule.severity], "rule": rule.name}


def _measured(alert: Alert) -> str:
    return _("Measured: %(value)s.") % {"value": with_unit(alert.rule.metric, alert.value)}


def _facts(alert: Alert) -> dict[str, Any]:
    """What a program on the other side may want to decide by."""
    rule = alert.rule
    return {
        "alert": alert.pk,
        "rule": rule.name,
        "severity": rule.severity,
        "project": rule.project.slug,
        "endpoint": rule.endpoint.name,
        "metric": rule.metric,
        "operator": rule.operator,
        "threshold": rule.threshold,
        "value": alert.value,
        "since": alert.since.isoformat(),
    }
