"""The policy of a release as a reader sees it: what is needed, what is there, and what this person may do about it."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.actors import Actor
from apps.releases.models import Release, Review
from apps.releases.selectors import approvers, current_subject


@dataclass(frozen=True)
class Policy:
    needed: int
    given: tuple[Review, ...]
    could: tuple[User, ...]  # who may still decide, by name
    is_stale: bool  # what was proposed is no longer what would run, so nobody can approve it
    may_decide: bool
    why_not: str  # why this person cannot decide, where somebody of their role could

    @property
    def missing(self) -> int:
        return max(0, self.needed - len(self.given))

    @property
    def is_stuck(self) -> bool:
        """Whether fewer people may decide than approvals are missing."""
        return len(self.could) < self.missing


def policy_of(release: Release, actor: Actor) -> Policy:
    """Read the approvals, and say whether ``actor`` may decide now or why not."""
    reviews = list(release.reviews.all())
    given = tuple(review for review in reviews if review.decision == Review.Decision.APPROVE)
    why_not = _why_not(release, actor, [review.reviewer_id for review in reviews])
    is_open = release.state == Release.State.IN_REVIEW
    is_stale = is_open and current_subject(release) != release.subject
    return Policy(
        needed=release.approvals_required,
        given=given,
        could=tuple(approvers(release)) if is_open else (),
        is_stale=is_stale,
        may_decide=is_open and not is_stale and not why_not,
        why_not=why_not,
    )


def _why_not(release: Release, actor: Actor, decided: list[int]) -> str:
    if release.state != Release.State.IN_REVIEW:
        return ""
    if not actor.may("release.review", release.project):
        return _("Reviewers and administrators of this project decide on releases.")
    if actor.id == release.proposed_by_id:
        return _("You proposed this release, so somebody else decides.")
    if actor.id == release.version.uploaded_by_id:
        return _("You uploaded this version, so somebody else decides.")
    if actor.id in decided:
        return _("You have decided already; another person's approval is still missing.")
    if release.expires_at <= timezone.now():
        return _("This proposal has expired.")
    return ""
