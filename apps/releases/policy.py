"""The policy of a release as a reader sees it: what is needed, what is there, and what this person may do about it."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.actors import Actor
from apps.releases.models import Release, Review


@dataclass(frozen=True)
class Policy:
    needed: int
    given: tuple[Review, ...]
    may_decide: bool
    why_not: str  # why this person cannot decide, where somebody of their role could

    @property
    def missing(self) -> int:
        return max(0, self.needed - len(self.given))


def policy_of(release: Release, actor: Actor) -> Policy:
    """Read the approvals, and say whether ``actor`` may decide now or why not."""
    reviews = list(release.reviews.all())
    given = tuple(review for review in reviews if review.decision == Review.Decision.APPROVE)
    why_not = _why_not(release, actor, [review.reviewer_id for review in reviews])
    may = release.state == Release.State.IN_REVIEW and not why_not
    return Policy(release.approvals_required, given, may, why_not)


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
