"""What the worker finds out about a version: begun under a lease, written down check by check, finished once.

The caller is the worker itself, so the permission beat is the lease: only who holds it may write, and a worker that
lost it is told so by a StateConflict.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.audit.services import record
from apps.core import leases
from apps.core.actors import SYSTEM
from apps.core.states import advance
from apps.library.evidence import EXPECTED, plain, whole
from apps.library.models import Artifact, Check, ModelVersion, VersionFile
from apps.library.services.artifacts import keep
from apps.library.services.cards import take_card
from apps.library.services.exceptions import granted_names
from apps.library.store import Stored

LEASE_SECONDS = 180.0  # renewed with every line of evidence
MAX_ATTEMPTS = 4
BACKOFF_SECONDS = 15.0

_NOT_REACHED = {"text": gettext_noop("Not reached: an earlier check failed."), "params": {}}
_NOT_NEEDED = {"text": gettext_noop("Not needed for this format."), "params": {}}
_GAVE_UP = {"text": gettext_noop("The examination could not be carried to its end."), "params": {}}
_TRY_LATER = {
    "text": gettext_noop("Upload the file again; if it happens again, show an administrator this page."),
    "params": {},
}
_DIED = {
    "text": gettext_noop("The worker that examined it died %(attempts)d times in a row, most likely of this file."),
    "params": {"attempts": MAX_ATTEMPTS},
}
_FACTS = (
    "format",
    "framework",
    "framework_version",
    "tier",
    "signature",
    "served_format",
    "requirements",
    "trusted",
    "profile",
    "parity",
)


@transaction.atomic
def begin_examination(pk: int) -> ModelVersion | None:
    """The version, leased and with its checks set back to waiting; None when there is nothing to do for us."""
    unfinished = [ModelVersion.State.UPLOADED, ModelVersion.State.EXAMINING]
    version = leases.take(ModelVersion, pk, seconds=LEASE_SECONDS, state__in=unfinished)
    if version is None:
        return None
    advance(version, ModelVersion.State.EXAMINING)
    if version.attempts > MAX_ATTEMPTS:
        _give_up(version, _DIED)
        return None
    version.checks.all().delete()
    Check.objects.bulk_create(
        Check(version=version, key=key, position=position) for position, key in enumerate(EXPECTED)
    )
    record(SYSTEM, "version.examination_begun", version, after={"attempt": version.attempts})
    return version


@transaction.atomic
def record_check(version: ModelVersion, evidence: Mapping[str, Any]) -> Check:
    """Write one line of evidence (``worker.specs.Evidence`` as a mapping) over the line of the same check."""
    leases.renew(version, seconds=LEASE_SECONDS)
    facts = {
        "state": evidence["state"],
        "summary": plain(evidence["summary"]),
        "reason": plain(evidence.get("reason")),
        "advice": plain(evidence.get("advice")),
        "details": plain(evidence.get("details") or {}),
        "seconds": evidence.get("seconds", 0.0),
    }
    last = {"position": version.checks.count(), **facts}
    check, _made = Check.objects.update_or_create(
        version=version, key=evidence["check"], defaults=facts, create_defaults=last
    )
    return check


def finish_examination(version: ModelVersion, verdict: Mapping[str, Any], served: Path | None) -> ModelVersion:
    """Conclude with the verdict (``worker.specs.Verdict`` as a mapping): ready with its served file, or refused."""
    if not verdict["accepted"] or served is None or _lacks_exception(version, verdict):
        return _refuse(version, verdict)
    return _accept(version, verdict, keep(served))


def _lacks_exception(version: ModelVersion, verdict: Mapping[str, Any]) -> bool:
    """Whether the exception that let a model of tier 2 in was revoked while it was examined."""
    return verdict.get("tier") == 2 and not granted_names(version)


@transaction.atomic
def fail_examination(version: ModelVersion, message: Mapping[str, Any], *, permanent: bool = False) -> ModelVersion:
    """Note that the examination itself went wrong: tried again later, or given up when that cannot help."""
    if permanent or version.attempts >= MAX_ATTEMPTS:
        return _give_up(version, message)
    leases.release(version, due_in=BACKOFF_SECONDS * 2 ** (version.attempts - 1))
    record(SYSTEM, "version.examination_failed", version, note=_sentence(message))
    return version


@transaction.atomic
def _accept(version: ModelVersion, verdict: Mapping[str, Any], stored: Stored) -> ModelVersion:
    facts = _facts(verdict)
    labels = version.class_labels or plain(verdict.get("labels") or [])
    leases.release(version, due_in=None)
    advance(version, ModelVersion.State.READY, examined_at=timezone.now(), class_labels=labels, **facts)
    _mark_served(version, stored, verdict.get("served_name") or "model")
    _settle(version, _NOT_NEEDED)
    take_card(version, str(verdict.get("card") or ""))
    record(SYSTEM, "version.accepted", version, before={"state": "examining"}, after=_outcome(version))
    return version


@transaction.atomic
def _refuse(version: ModelVersion, verdict: Mapping[str, Any]) -> ModelVersion:
    known = {name: value for name, value in _facts(verdict).items() if name in ("format", "framework", "tier")}
    leases.release(version, due_in=None)
    advance(version, ModelVersion.State.REFUSED, examined_at=timezone.now(), **known)
    _settle(version, _NOT_REACHED)
    record(SYSTEM, "version.refused", version, before={"state": "examining"}, after=_outcome(version))
    return version


def _give_up(version: ModelVersion, message: Mapping[str, Any]) -> ModelVersion:
    record_check(
        version,
        {
            "check": "examination",
            "state": Check.State.FAILED,
            "summary": _GAVE_UP,
            "reason": message,
            "advice": _TRY_LATER,
        },
    )
    return _refuse(version, {})


def _facts(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(verdict[name]) for name in _FACTS if name in verdict} | {
        "golden": whole(verdict.get("golden") or {})
    }


def _mark_served(version: ModelVersion, stored: Stored, name: str) -> None:
    """Mark the file that will run: one that was uploaded, or the converted one, which joins the version here."""
    source = version.files.filter(role=VersionFile.Role.SOURCE, artifact_id=stored.sha256).first()
    version.files.exclude(role=VersionFile.Role.SOURCE).delete()
    if source is not None:
        VersionFile.objects.filter(pk=source.pk).update(is_served=True)
        return
    artifact, _made = Artifact.objects.get_or_create(sha256=stored.sha256, defaults={"size": stored.size})
    VersionFile.objects.create(
        version=version, artifact=artifact, name=name, role=VersionFile.Role.CONVERTED, is_served=True
    )


def _settle(version: ModelVersion, message: Mapping[str, Any]) -> None:
    """Leave no check waiting when nothing more will come."""
    unsettled = [Check.State.WAITING, Check.State.RUNNING]
    version.checks.filter(state__in=unsettled).update(state=Check.State.SKIPPED, summary=message)


def _outcome(version: ModelVersion) -> dict[str, Any]:
    return {"state": version.state, "checks": dict(version.checks.values_list("key", "state"))}


def _sentence(message: Mapping[str, Any]) -> str:
    """The English sentence, for the log that every language reads."""
    params = message.get("params")
    return str(message["text"] % params if params else message["text"])
