"""Keys for programs: shown once, kept as a digest, revoked for good."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import ApiKey, Project
from apps.accounts.roles import BY_SCOPE
from apps.audit.services import record
from apps.core import keys
from apps.core.actors import Actor
from apps.core.errors import Invalid, NotAllowed, StateConflict

DEFAULT_DAYS = 90
USED_TO = timedelta(minutes=1)  # how exact the time of the last use is
MAX_DAYS = 365
DEFAULT_RATE = 60_000  # a minute
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
) -> Issued:
    """Make a key for ``scopes``: ``invoke:<endpoint>`` or ``invoke:*``, read, upload, propose, deploy.

    It begins with ``slw_live_`` when it may invoke something, else with ``slw_ci_``.
    """
    actor.require("key.manage", project)
    if actor.user_id is None or not actor.is_person:
        raise NotAllowed(_("Keys are made by people."), advice=_("Sign in and make it there."))
    scopes = sorted(set(scopes))
    _refuse(name, scopes, days, rate_per_minute)
    prefix = keys.LIVE if any(INVOKE.fullmatch(scope) for scope in scopes) else keys.CI
    minted = keys.mint(prefix)
    key = ApiKey.objects.create(
        key_id=minted.key_id,
        prefix=prefix,
        last4=minted.text[-4:],
        digest=keys.digest(settings.SLIPWAY_PEPPERS[0], minted.secret),
        name=name.strip(),
        project=project,
        scopes=scopes,
        rate_per_minute=rate_per_minute,
        created_by_id=actor.user_id,
        expires_at=timezone.now() + timedelta(days=days),
    )
    after = {"name": key.name, "scopes": scopes, "expires_at": key.expires_at.isoformat(timespec="seconds")}
    record(actor, "key.issued", key, after=after)
    return Issued(key, minted.text)


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


def note_keys_used(used: Mapping[str, float]) -> None:
    """Remember when keys were last used, by key id in seconds since 1970; gateways tell. Exact to the minute."""
    known = ApiKey.objects.filter(key_id__in=used).values_list("pk", "key_id", "last_used_at")
    for pk, key_id, before in known:
        at = datetime.fromtimestamp(used[key_id], UTC)
        if before is None or at - before > USED_TO:
            ApiKey.objects.filter(pk=pk).update(last_used_at=at)


def _refuse(name: str, scopes: Sequence[str], days: int, rate_per_minute: int) -> None:
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
    if errors:
        raise Invalid(_("The key cannot be made like this."), errors=errors)
