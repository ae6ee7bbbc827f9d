"""Propose, approve, reject, withdraw, build: every step of a release, each under its permission and in the log."""

from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.audit.services import record
from apps.core import leases
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.core.jobs import Job, enqueue
from apps.core.states import advance
from apps.library.models import ModelVersion
from apps.releases.models import Build, Comment, Release, Review
from apps.releases.selectors import current_subject, missing_approvals, subject_of
from apps.targets.models import GPU_KINDS, WALLED_KINDS, Endpoint, Environment, Target

BUILD_LEASE_SECONDS = 20  # kept up while it is built
BUILD_ATTEMPTS = 3
TIER_2_APPROVALS = 2
NOT_BUILT: dict[str, str] = {
    Release.State.WITHDRAWN: gettext_noop("It was taken back before it was built."),
    Release.State.EXPIRED: gettext_noop("Its approval expired before it was built."),
    Release.State.SUPERSEDED: gettext_noop("A newer release took its place before it was built."),
}
GPU_FORMAT = "onnx"  # whose loader uses a GPU where its packages do


@transaction.atomic
def propose(
    *,
    actor: Actor,
    version: ModelVersion,
    endpoint: Endpoint,
    target: Target | None = None,
    replicas: int = 1,
    note: str = "",
    options: dict[str, Any] | None = None,
) -> Release:
    """Propose to run a version at an endpoint. Where the environment needs no approval, it is built at once."""
    actor.require("release.propose", endpoint.project)
    target = target or endpoint.environment.target
    options = options or {}
    refuse_unfit(version, endpoint, target, replicas)
    refuse_gpus(version, target, options)
    _supersede(actor, version, endpoint)
    environment = endpoint.environment
    release = Release.objects.create(
        project=endpoint.project,
        version=version,
        endpoint=endpoint,
        target=target,
        replicas=replicas,
        options=options,
        note=note,
        subject=subject_of(version, endpoint, target, options),
        approvals_required=approvals_for(version, environment),
        proposed_by_id=actor.user_id,
        key_id=actor.id if actor.kind == "key" else None,
        expires_at=timezone.now() + timedelta(days=environment.approval_days),
    )
    record(actor, "release.proposed", release, after=_facts(release), note=note)
    if not release.approvals_required:
        advance(release, Release.State.APPROVED, decided_at=timezone.now())
        _finish_review(SYSTEM, release)
    return release


@transaction.atomic
def approve(*, actor: Actor, release: Release, subject: str, note: str = "") -> Release:
    """Record one approval of the subject that was shown; the last one needed sends the release to be built."""
    actor.require_fresh()
    _review(actor, release, subject, Review.Decision.APPROVE, note)
    is_last = not missing_approvals(release)
    if is_last:
        advance(release, Release.State.APPROVED, decided_at=timezone.now())
    record(actor, "release.approved", release, after={"subject": release.subject}, note=note)
    if is_last:
        _finish_review(actor, release)
    return release


@transaction.atomic
def reject(*, actor: Actor, release: Release, subject: str, note: str = "") -> Release:
    """Close the release: one rejection is enough. Whoever rejects says why."""
    if not note.strip():
        raise Invalid(_("A rejection needs a comment."), errors={"note": [_("Say why, so that it can be mended.")]})
    _review(actor, release, subject, Review.Decision.REJECT, note)
    advance(release, Release.State.REJECTED, decided_at=timezone.now())
    record(actor, "release.rejected", release, before={"state": "in_review"}, after={"state": "rejected"}, note=note)
    return release


@transaction.atomic
def comment(*, actor: Actor, release: Release, text: str) -> Comment:
    """Ask or answer before the decision; people only."""
    actor.require("release.comment", release.project)
    if not text.strip():
        raise Invalid(_("A comment needs words."), errors={"text": [_("Write your question or your answer.")]})
    release.refresh_from_db(fields=["state"])
    if release.state != Release.State.IN_REVIEW:
        raise StateConflict(
            _("This release is %(state)s already; nothing is left to discuss.") % {"state": release.get_state_display()}
        )
    row = Comment.objects.create(release=release, author_id=actor.id, text=text.strip())
    record(actor, "release.commented", release, after={"comment": row.pk}, note=row.text)
    return row


@transaction.atomic
def withdraw(*, actor: Actor, release: Release, note: str = "") -> Release:
    """Take a release back: what waits is no longer reviewed, what was approved can no longer be started."""
    actor.require("release.withdraw", release.project)
    before = release.state
    advance(release, Release.State.WITHDRAWN, decided_at=timezone.now())
    record(actor, "release.withdrawn", release, before={"state": before}, after={"state": "withdrawn"}, note=note)
    return release


@transaction.atomic
def retry_build(*, actor: Actor, release: Release) -> Build:
    """Build an approved release again, as a new build beside the failed one."""
    actor.require("deployment.start", release.project)
    if release.state != Release.State.APPROVED:
        raise StateConflict(_("Only an approved release can be built."))
    if release.builds.exclude(state=Build.State.FAILED).exists():
        raise StateConflict(_("There is a build already that has not failed."))
    build = _queue_build(release)
    record(actor, "release.build_retried", release, after={"build": build.pk})
    return build


def refuse_unfit(version: ModelVersion, endpoint: Endpoint, target: Target, replicas: int) -> None:
    """Raise when this version cannot be proposed for this endpoint and target."""
    if version.model.project_id != endpoint.project_id:
        raise Invalid(_("The version and the endpoint belong to different projects."))
    if version.state != ModelVersion.State.READY:
        raise StateConflict(
            _("%(version)s is %(state)s; only a ready version can be proposed.")
            % {"version": version, "state": version.get_state_display()},
            advice=_("Look at its checks: each failed one says what to do."),
        )
    if not target.is_enabled:
        raise Invalid(_("The target “%(name)s” is disabled.") % {"name": target.name})
    if version.tier == 2 and target.kind not in WALLED_KINDS:
        raise Invalid(
            _("This version runs by an exception, and only behind a sandbox; the target “%(name)s” has none.")
            % {"name": target.name},
            advice=_("Choose an endpoint whose target is a machine with a sandbox."),
        )
    if not 1 <= replicas <= 64:
        raise Invalid(_("Replicas must be between 1 and 64."), errors={"replicas": [_("Choose 1 to 64.")]})
    waiting = _waiting(version, endpoint)
    if waiting and current_subject(waiting) == waiting.subject:
        raise StateConflict(_("This version waits for this endpoint already: release #%(pk)s.") % {"pk": waiting.pk})


def refuse_gpus(version: ModelVersion, target: Target, options: dict[str, Any]) -> None:
    """Raise when GPUs are asked for that this target cannot give or this model would not use."""
    reason = why_no_gpus(version, target) if options.get("gpus") else ""
    if reason:
        raise Invalid(reason, errors={"gpus": [reason]})


def why_no_gpus(version: ModelVersion, target: Target) -> str:
    """Why a GPU set aside for this model on this target would be set aside in vain; empty where it would not."""
    if target.kind not in GPU_KINDS:
        return _("The target “%(name)s” cannot set GPUs aside; Docker hosts and Swarm clusters can.") % {
            "name": target.name
        }
    if version.served_format != GPU_FORMAT:
        return _("%(version)s is served as %(format)s, which uses no GPU; only models served as ONNX do.") % {
            "version": version,
            "format": version.served_format,
        }
    return ""


def approvals_for(version: ModelVersion, environment: Environment) -> int:
    """As many as the environment asks for; for a model of tier 2 at least two."""
    return max(environment.approvals_required, TIER_2_APPROVALS if version.tier == 2 else 0)


# The machine's part: building what was approved


@transaction.atomic
def begin_build(pk: int) -> Build | None:
    """Take the lease on a build that is due, or None.

    Refuses to build what is no longer what was approved, and skips what nobody wants any more.
    """
    build = leases.take(Build, pk, seconds=BUILD_LEASE_SECONDS, state__in=["queued", "running"])
    if build is None:
        return None
    release = build.release
    if release.state != Release.State.APPROVED:
        _skip_build(build)
        return None
    if current_subject(release) != release.subject:
        fail_build(build, kind="subject_changed", message=_plain(gettext_noop("What was approved has changed.")))
        return None
    if build.attempts > BUILD_ATTEMPTS:
        lost = gettext_noop("The worker was lost every time while building.")
        fail_build(build, kind="worker_lost", message=_plain(lost))
        return None
    if build.state == Build.State.QUEUED:
        advance(build, Build.State.RUNNING, started_at=timezone.now())
    return build


def note_build_log(build: Build, log: str) -> None:
    """Keep what a running build has said so far, and the lease with it; StateConflict where another has taken over."""
    leases.write(build, log=log)
    leases.renew(build, seconds=BUILD_LEASE_SECONDS)


@transaction.atomic
def finish_build(
    build: Build,
    *,
    builder: str,
    digest: str,
    location: str,
    environment: str,
    lock_digest: str,
    steps: list[dict[str, Any]],
    attachments: dict[str, Any] | None = None,
    log: str = "",
) -> Build:
    """Record what was built. Guarded by the lease: a worker that was overtaken changes nothing."""
    leases.release(build, due_in=None)
    advance(
        build,
        Build.State.DONE,
        builder=builder,
        digest=digest,
        location=location,
        environment=environment,
        lock_digest=lock_digest,
        steps=steps,
        attachments=attachments or {},
        log=log,
        finished_at=timezone.now(),
    )
    record(SYSTEM, "build.finished", build.release, after={"build": build.pk, "digest": digest})
    return build


@transaction.atomic
def fail_build(
    build: Build, *, kind: str, message: dict[str, Any], log: str = "", retry_in: float | None = None
) -> Build:
    """Record a failed try; with ``retry_in`` (seconds) the same build is tried again while attempts are left."""
    if retry_in is not None and build.attempts < BUILD_ATTEMPTS:
        leases.release(build, due_in=retry_in, failure_kind=kind, failure=message, log=log)
        return build
    leases.release(build, due_in=None)
    if build.state == Build.State.QUEUED:
        advance(build, Build.State.RUNNING, started_at=timezone.now())
    advance(build, Build.State.FAILED, failure_kind=kind, failure=message, log=log, finished_at=timezone.now())
    record(SYSTEM, "build.failed", build.release, after={"build": build.pk, "kind": kind})
    return build


def _skip_build(build: Build) -> None:
    """End a build whose release is not approved any more, which is no failure."""
    leases.release(build, due_in=None)
    why = _plain(NOT_BUILT.get(build.release.state, gettext_noop("It is not approved.")))
    advance(build, Build.State.SKIPPED, failure=why, finished_at=timezone.now())
    record(SYSTEM, "build.skipped", build.release, after={"build": build.pk, "release": build.release.state})


@transaction.atomic
def expire_releases() -> int:
    """Close what waited too long for a decision, or was approved too long ago and never started."""
    stale = Release.objects.filter(expires_at__lt=Now(), state__in=["in_review", "approved"]).exclude(
        pk__in=Release.objects.filter(deployments__isnull=False).values("pk")
    )
    rows = list(stale.select_for_update(no_key=True, skip_locked=True)[:100])  # who holds one is deciding on it
    for release in rows:
        before = release.state
        advance(release, Release.State.EXPIRED)
        record(SYSTEM, "release.expired", release, before={"state": before}, after={"state": "expired"})
    return len(rows)


def _review(actor: Actor, release: Release, subject: str, decision: str, note: str) -> None:
    actor.require("release.review", release.project)
    refuse_author(actor, release)
    one_at_a_time = Release.objects.select_for_update(no_key=True)
    release.refresh_from_db(from_queryset=one_at_a_time)
    if release.state != Release.State.IN_REVIEW:
        raise StateConflict(
            _("This release is %(state)s already; nothing is left to decide.") % {"state": release.get_state_display()}
        )
    if release.expires_at <= timezone.now():
        raise StateConflict(_("This release waited too long and has expired."), advice=_("Propose it again."))
    if subject != release.subject:
        raise StateConflict(
            _("You were shown another subject than this release has."), advice=_("Reload the page and look again.")
        )
    if current_subject(release) != release.subject:
        raise StateConflict(
            _("Something that this release is made of has changed since it was proposed."),
            advice=_("Propose the version again; this release is closed by that."),
        )
    if release.reviews.filter(reviewer_id=actor.id).exists():
        raise StateConflict(_("You have decided on this release already."))
    try:
        with transaction.atomic():
            Review.objects.create(release=release, reviewer_id=actor.id, decision=decision, subject=subject, note=note)
    except DatabaseError as error:
        raise StateConflict(_("The database refused this review: %(reason)s") % {"reason": error}) from error


def refuse_author(actor: Actor, release: Release) -> None:
    """Four eyes: only a person decides, and neither who uploaded the version nor who proposed it."""
    if not actor.is_person:
        raise NotAllowed(_("Only people can review a release; a key cannot."))
    if actor.id == release.proposed_by_id:
        raise NotAllowed(_("You proposed this release; somebody else has to review it."))
    if actor.id == release.version.uploaded_by_id:
        raise NotAllowed(_("You uploaded this version; somebody else has to review its release."))


def _finish_review(actor: Actor, release: Release) -> None:
    record(actor, "release.cleared", release, before={"state": "in_review"}, after={"state": "approved"})
    _queue_build(release)


def _queue_build(release: Release) -> Build:
    build = Build.objects.create(release=release, due_at=Now())
    enqueue(Job.BUILD, build.pk)
    return build


def _waiting(version: ModelVersion, endpoint: Endpoint) -> Release | None:
    return Release.objects.filter(version=version, endpoint=endpoint, state=Release.State.IN_REVIEW).first()


def _supersede(actor: Actor, version: ModelVersion, endpoint: Endpoint) -> None:
    """Close what waits for the same, which ``refuse_unfit`` lets through only where nobody can approve it any more."""
    if waiting := _waiting(version, endpoint):
        advance(waiting, Release.State.SUPERSEDED, decided_at=timezone.now())
        record(actor, "release.superseded", waiting, before={"state": "in_review"}, after={"state": "superseded"})


def _facts(release: Release) -> dict[str, Any]:
    return {
        "version": str(release.version),
        "endpoint": release.endpoint.name,
        "target": release.target.name,
        "replicas": release.replicas,
        "subject": release.subject,
        "approvals_required": release.approvals_required,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"text": text, "params": {}}
