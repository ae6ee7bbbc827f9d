"""What people do here: write rules, acknowledge alerts, look after channels."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, StateConflict
from apps.core.sealing import seal
from apps.core.states import advance
from apps.monitoring.alerting import end_alert
from apps.monitoring.deliveries import queue
from apps.monitoring.metrics import METRICS, OPERATORS, SEVERITIES
from apps.monitoring.models import Alert, AlertRule, Channel, Delivery
from apps.monitoring.phrases import logged

KINDS = ("webhook", "mail")
LONGEST_SECONDS = 86400
WEBHOOK_SECRET_BYTES = 32

Facts = Mapping[str, Any]


@transaction.atomic
def create_rule(*, actor: Actor, project: Project, channels: Iterable[Channel] = (), **facts: Any) -> AlertRule:
    """A new rule over one of the project's endpoints. ``facts`` are the rule's columns."""
    actor.require("rule.edit", project)
    rule = AlertRule(project=project, created_by_id=actor.user_id, **facts)
    _refuse_impossible(rule)
    rule.save()
    rule.channels.set(_own(project, channels))
    record(actor, "rule.created", rule, after={"rule": logged(rule), "severity": rule.severity})
    return rule


@transaction.atomic
def change_rule(*, actor: Actor, rule: AlertRule, channels: Iterable[Channel] | None = None, **facts: Any) -> AlertRule:
    """Write ``facts`` to a rule. Disabling it, or giving it another endpoint or metric, ends its open alert."""
    actor.require("rule.edit", rule.project)
    changed = {name: value for name, value in facts.items() if getattr(rule, name) != value}
    before = {name: str(getattr(rule, name)) for name in changed}
    for name, value in changed.items():
        setattr(rule, name, value)
    _refuse_impossible(rule)
    rule.save()
    if channels is not None:
        rule.channels.set(_own(rule.project, channels))
    if {"endpoint", "metric"} & set(changed) or not rule.is_enabled:
        _end_open_alert(rule)
    after = {name: str(value) for name, value in changed.items()}
    record(actor, "rule.changed", rule, before=before, after={**after, "rule": logged(rule)})
    return rule


@transaction.atomic
def delete_rule(*, actor: Actor, rule: AlertRule) -> None:
    """Remove a rule with the alerts it raised; the log keeps what happened."""
    actor.require("rule.edit", rule.project)
    record(actor, "rule.deleted", rule, before={"rule": logged(rule)})
    rule.delete()


@transaction.atomic
def acknowledge(*, actor: Actor, alert: Alert, note: str = "") -> Alert:
    """Say “I am on it”: the alert stops asking for attention until it resolves or a new one fires."""
    actor.require("alert.acknowledge", alert.project)
    if alert.state != Alert.State.FIRING:
        raise StateConflict(
            _("This alert is %(state)s, not firing.") % {"state": alert.get_state_display()},
            advice=_("There is nothing left to acknowledge."),
        )
    advance(
        alert,
        Alert.State.ACKNOWLEDGED,
        acknowledged_at=timezone.now(),
        acknowledged_by_id=actor.user_id,
        note=note.strip(),
    )
    record(actor, "alert.acknowledged", alert, after={"value": alert.value}, note=note.strip())
    return alert


@transaction.atomic
def create_channel(*, actor: Actor, project: Project, name: str, kind: str, config: Facts) -> tuple[Channel, str]:
    """A new channel, and for a webhook its signing secret ``whsec_…``, which is shown this once."""
    actor.require("channel.edit", project)
    if kind not in KINDS:
        raise Invalid(
            _("There is no channel of kind “%(kind)s”.") % {"kind": kind}, errors={"kind": [", ".join(KINDS)]}
        )
    channel = Channel(project=project, name=name, kind=kind, config=dict(config))
    _save_named(channel)
    secret = _seal_new_secret(channel)
    record(actor, "channel.created", channel, after={"kind": kind, "config": channel.config})
    return channel, secret


@transaction.atomic
def change_channel(*, actor: Actor, channel: Channel, **facts: Any) -> Channel:
    """Write ``name``, ``config`` or ``is_enabled``. What is queued for a disabled channel still goes out."""
    actor.require("channel.edit", channel.project)
    before = {name: getattr(channel, name) for name in facts}
    for name, value in facts.items():
        setattr(channel, name, value)
    _save_named(channel)
    record(actor, "channel.changed", channel, before=before, after=dict(facts))
    return channel


@transaction.atomic
def renew_secret(*, actor: Actor, channel: Channel) -> str:
    """A new signing secret for a webhook; the old one signs nothing from now on."""
    actor.require("channel.edit", channel.project)
    secret = _seal_new_secret(channel)
    if not secret:
        raise Invalid(_("An e-mail channel has no signing secret."))
    record(actor, "channel.secret_renewed", channel)
    return secret


@transaction.atomic
def delete_channel(*, actor: Actor, channel: Channel) -> None:
    """Remove a channel with its delivery history; rules that told it go on without it."""
    actor.require("channel.edit", channel.project)
    record(actor, "channel.deleted", channel, before={"kind": channel.kind, "config": channel.config})
    channel.delete()


@transaction.atomic
def test_channel(*, actor: Actor, channel: Channel) -> Delivery:
    """Queue a notice that says it is only a test."""
    actor.require("channel.edit", channel.project)
    record(actor, "channel.tested", channel)
    return queue(
        channel,
        "channel.test",
        title=_("A test from Slipway"),
        text=_("%(person)s tested the channel “%(channel)s” of %(project)s. It works if you read this.")
        % {"person": actor.label, "channel": channel.name, "project": channel.project},
        path=reverse("monitoring:channels", kwargs={"project": channel.project.slug}),
        data={"channel": channel.name, "project": channel.project.slug},
    )


def _refuse_impossible(rule: AlertRule) -> None:
    errors: dict[str, list[str]] = {}
    if rule.metric not in METRICS:
        errors["metric"] = [_("One of %(names)s.") % {"names": ", ".join(METRICS)}]
    if rule.operator not in OPERATORS:
        errors["operator"] = [_("“>” or “<”.")]
    if rule.severity not in SEVERITIES:
        errors["severity"] = [_("One of %(names)s.") % {"names": ", ".join(SEVERITIES)}]
    if not 60 <= rule.window_seconds <= LONGEST_SECONDS:
        errors["window_seconds"] = [_("From 60 seconds to a day.")]
    if not 0 <= rule.for_seconds <= LONGEST_SECONDS:
        errors["for_seconds"] = [_("From 0 seconds to a day.")]
    if rule.endpoint.project_id != rule.project_id:
        errors["endpoint"] = [_("There is no such endpoint in this project.")]
    if errors:
        raise Invalid(_("This rule cannot be."), errors=errors)


def _own(project: Project, channels: Iterable[Channel]) -> list[Channel]:
    channels = list(channels)
    if any(channel.project_id != project.pk for channel in channels):
        raise Invalid(_("A channel of another project."), errors={"channels": [_("No such channel in this project.")]})
    return channels


def _end_open_alert(rule: AlertRule) -> None:
    for alert in rule.alerts.exclude(state=Alert.State.RESOLVED):
        alert.rule = rule
        end_alert(alert, timezone.now())


def _save_named(channel: Channel) -> None:
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError as error:
        raise Invalid(
            _("There is a channel “%(name)s” already.") % {"name": channel.name},
            errors={"name": [_("Choose another name.")]},
        ) from error


def _seal_new_secret(channel: Channel) -> str:
    """A fresh Standard Webhooks secret, sealed in the channel's row; nothing for other kinds."""
    if channel.kind != "webhook":
        return ""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()
    channel.sealed = seal(secret, channel.seal_place)
    channel.save(update_fields=["sealed"])
    return secret
