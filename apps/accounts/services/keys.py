"""Keys for programs: shown once, kept as a digest, revoked for good."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import UNUSED, ApiKey, Project
from apps.accounts.roles import BY_SCOPE
from apps.audit.services import record
from apps.core import keys
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.core.networks import read_networks

DEFAULT_DAYS = 90
USED_TO = timedelta(minutes=1)  # how exact the time of the last use is
MAX_DAYS = 365
DEFAULT_RATE = 60_000  # a minute
OVERLAP_HOURS, MAX_OVERLAP_HOURS = 24, 7 * 24
MAX_NETWORKS = 50
INVOKE = re.compile(r"invoke:(\*|[a-z0-9_-]{1,64})", re.IGNORECASE)


@dataclass(frozen=True)
class Issued:
    """A new key. ``text`` is the only copy of it there will ever be."""

    key: ApiKey
    text: str


@transaction.atomic
def issue_key(
    *,
    actor: Actor,
    project: Project,
    name: str,
    scopes: Sequence[str],
    days: int = DEFAULT_DAYS,
    rate_per_minute: int = DEFAULT_RATE,
    networks: Sequence[str] = (),
) -> Issued:
    """Make a key for ``scopes``: ``invoke:<endpoint>`` or ``invoke:*``, read, upload, propose, deploy.

    It begins with ``slw_live_`` when it may invoke something, else with ``slw_ci_``. With ``networks`` (``10.0.0.0/8``)
    it is taken from addresses in those only.
    """
    actor.require("key.manage", project)
    _refuse_programs(actor)
    scopes = sorted(set(scopes))
    _refuse(name, scopes, days, rate_per_minute, networks)
    issued = _make(
        actor,
        timedelta(days=days),
        name=name.strip(),
        project=project,
        scopes=scopes,
        rate_per_minute=rate_per_minute,
        networks=[str(network) for network in read_networks(networks)],
    )
    record(actor, "key.issued", issued.key, after=_facts(issued.key))
    return issued


@transaction.atomic
def rotate_key(*, actor: Actor, key: ApiKey, overlap_hours: int = OVERLAP_HOURS) -> Issued:
    """A new key in the place of this one, which is taken for ``overlap_hours`` more; for 0 hours: no longer."""
    actor.require("key.manage", key.project)
    _refuse_programs(actor)
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        words = _("Both can be taken for 0 to %(most)d hours.") % {"most": MAX_OVERLAP_HOURS}
        raise Invalid(_("The key cannot be rotated like this."), errors={"overlap_hours": [words]})
    names = ("name", "project", "scopes", "rate_per_minute", "networks")
    issued = _make(actor, key.expires_at - key.created_at, **{name: getattr(key, name) for name in names})
    until = min(key.expires_at, timezone.now() + timedelta(hours=overlap_hours))
    rotatable = ApiKey.objects.filter(pk=key.pk, revoked_at=None, replaced_by=None)
    if not rotatable.update(replaced_by=issued.key, expires_at=until):
        raise StateConflict(_("The key “%(name)s” is revoked or rotated already.") % {"name": key.name})
    key.replaced_by, key.expires_at = issued.key, until
    after = {**_facts(issued.key), "key": issued.key.key_id, "earlier_until": until.isoformat(timespec="seconds")}
    record(actor, "key.rotated", key, after=after)
    return issued


def _make(actor: Actor, life: timedelta, **values: Any) -> Issued:
    prefix = keys.LIVE if any(INVOKE.fullmatch(scope) for scope in values["scopes"]) else keys.CI
    minted = keys.mint(prefix)
    key = ApiKey.objects.create(
        key_id=minted.key_id,
        prefix=prefix,
        last4=minted.text[-4:],
        digest=keys.digest(settings.SLIPWAY_PEPPERS[0], minted.secret),
        created_by_id=actor.user_id,
        expires_at=timezone.now() + life,
        **values,
    )
    return Issued(key, minted.text)


def _facts(key: ApiKey) -> dict[str, Any]:
    until = key.expires_at.isoformat(timespec="seconds")
    return {"name": key.name, "scopes": key.scopes, "networks": key.networks, "expires_at": until}


@transaction.atomic
def revoke_key(*, actor: Actor, key: ApiKey) -> ApiKey:
    """End a key for good. Gateways stop taking it within five seconds."""
    actor.require("key.manage", key.project)
    now = timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        raise StateConflict(_("The key “%(name)s” is revoked already.") % {"name": key.name})
    key.revoked_at = now
    record(actor, "key.revoked", key, before={"name": key.name, "scopes": key.scopes})
    return key


@transaction.atomic
def disable_unused_keys() -> int:
    """Disable keys that nobody has used for ``UNUSED``; how many. Each can be rotated for one that works."""
    now = timezone.now()
    idle = ApiKey.objects.filter(revoked_at=None, disabled_at=None, expires_at__gt=now)
    rows = list(idle.alias(used=Coalesce("last_used_at", "created_at")).filter(used__lt=now - UNUSED)[:100])
    for key in rows:
        ApiKey.objects.filter(pk=key.pk).update(disabled_at=now)
        record(SYSTEM, "key.disabled", key, after={"unused_days": UNUSED.days})
    return len(rows)


def note_keys_used(used: Mapping[str, float]) -> None:
    """Remember when keys were last used, by key id in seconds since 1970; gateways tell. Exact to the minute."""
    known = ApiKey.objects.filter(key_id__in=used).values_list("pk", "key_id", "last_used_at")
    for pk, key_id, before in known:
        at = datetime.fromtimestamp(used[key_id], UTC)
        if before is None or at - before > USED_TO:
            ApiKey.objects.filter(pk=pk).update(last_used_at=at)


def _refuse_programs(actor: Actor) -> None:
    if actor.user_id is None or not actor.is_person:
        raise NotAllowed(_("Keys are made by people."), advice=_("Sign in and make it there."))


def _refuse(name: str, scopes: Sequence[str], days: int, rate_per_minute: int, networks: Sequence[str]) -> None:
    errors: dict[str, list[str]] = {}
    if not 1 <= len(name.strip()) <= 80:
        errors["name"] = [_("Give it a name of 1 to 80 characters that says what it is for.")]
    if not scopes:
        errors["scopes"] = [_("Choose at least one thing that the key may do.")]
    unknown = [scope for scope in scopes if scope not in BY_SCOPE and not INVOKE.fullmatch(scope)]
    if unknown:
        errors["scopes"] = [_("There is no scope “%(scope)s”.") % {"scope": unknown[0]}]
    if not 1 <= days <= MAX_DAYS:
        errors["days"] = [_("A key lives for 1 to %(most)d days.") % {"most": MAX_DAYS}]
    if not 1 <= rate_per_minute <= 1_000_000:
        errors["rate_per_minute"] = [_("Between 1 and 1,000,000 requests a minute.")]
    if wrong := _fault_of_networks(networks):
        errors["networks"] = [wrong]
    if errors:
        raise Invalid(_("The key cannot be made like this."), errors=errors)


def _fault_of_networks(networks: Sequence[str]) -> str:
    if len(networks) > MAX_NETWORKS:
        return _("At most %(most)d ranges of addresses.") % {"most": MAX_NETWORKS}
    for text in networks:
        try:
            read_networks([text])
        except ValueError:
            return _("“%(text)s” is no range of addresses; one is written as 10.0.0.0/8.") % {"text": text}
    return ""
