"""Exceptions: a refused pickle is opened all the same, because two people looked at its names and said so.

What can be excepted is what the safety check listed, for the very files that it saw; nothing is widened later. Who
uploaded the version or asked has no say, and one of the two is an administrator.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.core.jobs import Job, enqueue
from apps.core.states import advance
from apps.library.models import Check, ExceptionReview, ModelVersion, SafetyException

APPROVALS = 2

State, Decision = SafetyException.State, ExceptionReview.Decision


@transaction.atomic
def ask_exception(*, actor: Actor, version: ModelVersion, reason: str) -> SafetyException:
    """Ask to have a refused version opened for exactly the names that its safety check listed."""
    actor.require("exception.ask", version.project)
    if not actor.is_person:
        raise NotAllowed(_("Only people can ask for an exception; a key cannot."))
    names = names_beyond(version)
    _refuse_unfit(version, names, reason)
    exception = SafetyException.objects.create(
        version=version,
        digest=version.digest,
        names=names,
        subject=subject_of(version.digest, names),
        reason=reason,
        asked_by_id=actor.user_id,
    )
    record(actor, "exception.asked", exception, after=_terms(exception), note=reason)
    return exception


@transaction.atomic
def approve_exception(*, actor: Actor, exception: SafetyException, subject: str, note: str = "") -> SafetyException:
    """Record one approval; the last one needed grants the exception and has the version examined again."""
    actor.require_fresh()
    _review(actor, exception, subject, Decision.APPROVE, note)
    record(actor, "exception.approved", exception, after={"subject": subject}, note=note)
    given = exception.reviews.filter(decision=Decision.APPROVE, subject=exception.subject)
    if given.count() >= APPROVALS and given.filter(is_administrator=True).exists():
        _grant(actor, exception)
    return exception


@transaction.atomic
def reject_exception(*, actor: Actor, exception: SafetyException, subject: str, note: str = "") -> SafetyException:
    """Close the matter: one rejection is enough. Whoever rejects says why."""
    if not note.strip():
        raise Invalid(_("A rejection needs a comment."), errors={"note": [_("Say why, so that it can be mended.")]})
    _review(actor, exception, subject, Decision.REJECT, note)
    advance(exception, State.REJECTED, decided_at=timezone.now())
    record(actor, "exception.rejected", exception, before={"state": "asked"}, after={"state": "rejected"}, note=note)
    return exception


@transaction.atomic
def revoke_exception(*, actor: Actor, exception: SafetyException, note: str = "") -> SafetyException:
    """Take an exception back: the version is retired and none of its releases can be started any more."""
    actor.require("exception.grant", exception.project)
    advance(exception, State.REVOKED, revoked_by_id=actor.user_id)
    version = ModelVersion.objects.select_related("model__project").get(pk=exception.version_id)
    is_retired = version.state == ModelVersion.State.READY and version.tier == 2
    if is_retired:
        advance(version, ModelVersion.State.RETIRED)
    record(actor, "exception.revoked", exception, before={"state": "granted"}, after={"state": "revoked"}, note=note)
    if is_retired:
        record(actor, "version.retired", version, before={"state": "ready"}, after={"state": "retired"}, note=note)
    return exception


def names_beyond(version: ModelVersion) -> list[str]:
    """The names that an exception for this version would cover, as its safety check listed them; none, if none can."""
    check = version.checks.filter(key="safety", state=Check.State.FAILED).first()
    names = check.details.get("exception") if check else None
    return [str(name) for name in names] if isinstance(names, list) else []


def granted_names(version: ModelVersion) -> tuple[str, ...]:
    """The names that may be opened beyond the list: those of a granted exception for exactly these files."""
    granted = version.exceptions.filter(state=State.GRANTED, digest=version.digest).first()
    if granted is None or granted.subject != subject_of(version.digest, granted.names):
        return ()
    return tuple(granted.names)


def subject_of(digest: str, names: Sequence[str]) -> str:
    """sha256 over the files' digest and the names: what people approve."""
    facts = {"digest": digest, "names": sorted(names)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _refuse_unfit(version: ModelVersion, names: Sequence[str], reason: str) -> None:
    if version.state != ModelVersion.State.REFUSED or not names:
        raise StateConflict(
            _("No exception can be asked for %(version)s.") % {"version": version},
            advice=_("Only a pickle that was refused for names beyond the list of known parts can have one."),
        )
    if not reason.strip():
        raise Invalid(_("Say why it is needed."), errors={"reason": [_("Say why it is needed.")]})
    if version.exceptions.filter(state__in=[State.ASKED, State.GRANTED]).exists():
        raise StateConflict(_("An exception for %(version)s is asked for already.") % {"version": version})


def _review(actor: Actor, exception: SafetyException, subject: str, decision: str, note: str) -> None:
    actor.require("exception.review", exception.project)
    refuse_author(actor, exception)
    exception.refresh_from_db()
    if exception.state != State.ASKED:
        raise StateConflict(
            _("This exception is %(state)s already; nothing is left to decide.")
            % {"state": exception.get_state_display()}
        )
    if subject != exception.subject:
        raise StateConflict(
            _("You were shown other names than this exception has."), advice=_("Reload the page and look again.")
        )
    if exception.reviews.filter(reviewer_id=actor.id).exists():
        raise StateConflict(_("You have decided on this exception already."))
    try:
        with transaction.atomic():
            ExceptionReview.objects.create(
                exception=exception,
                reviewer_id=actor.id,
                is_administrator=actor.may("exception.grant", exception.project),
                decision=decision,
                subject=subject,
                note=note,
            )
    except DatabaseError as error:
        raise StateConflict(_("The database refused this review: %(reason)s") % {"reason": error}) from error


def refuse_author(actor: Actor, exception: SafetyException) -> None:
    """Only a person decides, and neither who uploaded the version nor who asked."""
    if not actor.is_person:
        raise NotAllowed(_("Only people can decide on an exception; a key cannot."))
    if actor.id == exception.asked_by_id:
        raise NotAllowed(_("You asked for this exception; somebody else has to decide on it."))
    if actor.id == exception.version.uploaded_by_id:
        raise NotAllowed(_("You uploaded this version; somebody else has to decide on its exception."))


def _grant(actor: Actor, exception: SafetyException) -> None:
    advance(exception, State.GRANTED, decided_at=timezone.now())
    version = ModelVersion.objects.select_related("model__project").get(pk=exception.version_id)
    advance(version, ModelVersion.State.UPLOADED, attempts=0, due_at=Now())
    record(actor, "exception.granted", exception, before={"state": "asked"}, after=_terms(exception))
    enqueue(Job.EXAMINE, version.pk)


def _terms(exception: SafetyException) -> dict[str, Any]:
    return {"state": exception.state, "digest": exception.digest, "names": exception.names}
