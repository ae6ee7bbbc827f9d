"""Looking at a target before there is one: what a form says is checked as it stands, and nothing of it is kept."""

import json
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core import leases
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.core.jobs import Job, enqueue
from apps.core.sealing import seal, unseal
from apps.targets.configs import refuse_settings
from apps.targets.models import Target, Trial
from apps.targets.services import CHECK_LEASE_SECONDS, open_secrets

KEPT = timedelta(hours=1)
ATTEMPTS = 2


@transaction.atomic
def try_target(
    *, actor: Actor, kind: str, config: dict[str, Any], secrets: dict[str, str], target: Target | None = None
) -> Trial:
    """Have these settings looked at as if they were a target's; ``target`` lends what it has sealed for empty fields.

    Credentials are sealed for as long as it takes to look.
    """
    actor.require("target.edit")
    whole = {**(open_secrets(target) if target else {}), **secrets}
    refuse_settings(kind, config, whole)
    Trial.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    trial = Trial.objects.create(kind=kind, config=config, due_at=Now())
    Trial.objects.filter(pk=trial.pk).update(sealed=seal(json.dumps(whole), trial.seal_place))
    record(actor, "target.tried", trial, after={"kind": kind, "config": config})
    enqueue(Job.TRY_TARGET, trial.pk)
    return trial


def get_trial(actor: Actor, pk: int) -> Trial:
    actor.require("target.edit")
    found = Trial.objects.filter(pk=pk).first()
    if found is None:
        raise Missing(_("This check is over and forgotten. Check again."))
    return found


def begin_trial(pk: int) -> Trial | None:
    """The trial under a lease, or None; one that lost its workers is over."""
    trial = leases.take(Trial, pk, seconds=CHECK_LEASE_SECONDS, done_at=None)
    if trial is not None and trial.attempts > ATTEMPTS:
        finish_trial(trial, lines=[])
        return None
    return trial


def secrets_of(trial: Trial) -> dict[str, str]:
    opened: dict[str, str] = json.loads(unseal(trial.sealed, trial.seal_place))
    return opened


def finish_trial(trial: Trial, *, lines: list[dict[str, Any]]) -> None:
    """Write what was seen, and forget the credentials."""
    leases.release(trial, due_in=None, lines=lines, sealed="", done_at=timezone.now())
