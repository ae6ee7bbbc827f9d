"""Reading exceptions: those of a project, and where one stands for somebody who looks at it."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.library.models import ExceptionReview, SafetyException
from apps.library.services.exceptions import APPROVALS


@dataclass(frozen=True)
class Standing:
    """What is there, what is missing, and what this person may do about it."""

    given: tuple[ExceptionReview, ...]
    has_administrator: bool
    may_decide: bool
    why_not: str  # why this person cannot decide, where somebody of their role could

    @property
    def missing(self) -> int:
        return max(0, APPROVALS - len(self.given))


def list_exceptions(actor: Actor, project: Project) -> QuerySet[SafetyException]:
    """The project's exceptions, newest first, with what a list shows of them."""
    return (
        SafetyException.objects.visible_to(actor)
        .filter(version__model__project=project)
        .select_related("version__model__project", "version__uploaded_by", "asked_by", "revoked_by")
        .prefetch_related(Prefetch("reviews", ExceptionReview.objects.select_related("reviewer")))
    )


def get_exception(actor: Actor, project: Project, pk: int) -> SafetyException | None:
    return list_exceptions(actor, project).filter(pk=pk).first()


def exceptions_waiting_for(actor: Actor, project: Project) -> QuerySet[SafetyException]:
    """Those that this person could decide on now: not asked for or uploaded by them, not decided by them yet."""
    if not actor.may("exception.review", project):
        return SafetyException.objects.none()
    return (
        SafetyException.objects.visible_to(actor)
        .filter(version__model__project=project, state=SafetyException.State.ASKED)
        .exclude(asked_by=actor.user_id)
        .exclude(version__uploaded_by=actor.user_id)
        .exclude(reviews__reviewer=actor.user_id)
        .select_related("version__model", "asked_by")
    )


def standing_of(exception: SafetyException, actor: Actor) -> Standing:
    """Read the reviews, and say whether ``actor`` may decide now or why not."""
    reviews = list(exception.reviews.all())
    given = tuple(review for review in reviews if review.decision == ExceptionReview.Decision.APPROVE)
    why_not = _why_not(exception, actor, [review.reviewer_id for review in reviews])
    may = exception.state == SafetyException.State.ASKED and not why_not
    return Standing(given, any(review.is_administrator for review in given), may, why_not)


def _why_not(exception: SafetyException, actor: Actor, decided: list[int]) -> str:
    if exception.state != SafetyException.State.ASKED:
        return ""
    if not actor.may("exception.review", exception.project):
        return _("Reviewers and administrators of this project decide on exceptions.")
    if actor.id == exception.asked_by_id:
        return _("You asked for this exception, so somebody else decides.")
    if actor.id == exception.version.uploaded_by_id:
        return _("You uploaded this version, so somebody else decides.")
    if actor.id in decided:
        return _("You have decided already; another person's approval is still missing.")
    return ""
