"""Reading releases: what a release's subject is now, what waits for whom, and what it would replace."""

from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Project, User
from apps.accounts.roles import BY_ROLE
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.library.models import ModelVersion, VersionFile
from apps.library.services import granted_names
from apps.releases.models import Build, Comment, Release, Review
from apps.releases.subjects import subject_digest
from apps.targets.models import Endpoint, Environment, Target


def get_release(actor: Actor, project: Project, pk: int) -> Release:
    release = releases(actor, project).filter(pk=pk).first()
    if release is None:
        raise Missing(_("There is no release #%(pk)s in this project.") % {"pk": pk})
    return release


def releases(actor: Actor, project: Project) -> QuerySet[Release]:
    """The project's releases, newest first, with what a list shows of them (a constant number of queries)."""
    return (
        Release.objects.visible_to(actor)
        .filter(project=project)
        .select_related(
            "project",
            "version__model__project",
            "version__uploaded_by",
            "endpoint__environment",
            "target",
            "proposed_by",
        )
        .prefetch_related(
            Prefetch("reviews", Review.objects.select_related("reviewer")),
            Prefetch("builds", Build.objects.defer("attachments", "log").order_by("-id")),  # large, and not for lists
        )
        .annotate(approvals=Count("reviews", filter=Q(reviews__decision="approve"), distinct=True))
        .order_by("-pk")  # grouping has dropped the model's own order
    )


def waiting_for(actor: Actor) -> QuerySet[Release]:
    """Releases that this person could decide now: in review, not theirs, not decided by them yet."""
    projects = [pk for pk in _projects(actor) if actor.may("release.review", pk)]
    return (
        Release.objects.filter(project__in=projects, state=Release.State.IN_REVIEW, expires_at__gt=timezone.now())
        .exclude(proposed_by=actor.user_id)
        .exclude(version__uploaded_by=actor.user_id)
        .exclude(reviews__reviewer=actor.user_id)
        .select_related("project", "version__model", "endpoint", "proposed_by")
    )


def approvers(release: Release) -> QuerySet[User]:
    """Everybody who could decide on a release now: neither proposed nor uploaded it, and has not decided yet."""
    roles = [role for role, held in BY_ROLE.items() if "release.review" in held]
    of_project = Q(memberships__project=release.project_id, memberships__role__in=roles)
    involved = [release.proposed_by_id, release.version.uploaded_by_id]
    return (
        User.objects.filter(of_project | Q(is_superuser=True), is_active=True)
        .exclude(pk__in=involved)
        .exclude(pk__in=release.reviews.values("reviewer"))
        .order_by("name", "pk")
        .distinct()
    )


def missing_approvals(release: Release) -> int:
    """How many approvals of its subject a release still needs."""
    given = release.reviews.filter(decision=Review.Decision.APPROVE, subject=release.subject).count()
    return max(0, release.approvals_required - given)


def subject_of(version: ModelVersion, endpoint: Endpoint, target: Target, options: dict[str, Any]) -> str:
    """The subject as the database has it now. How many replicas run is the operator's business and not part of it."""
    return subject_digest(subject_facts(version, endpoint, target, options))


def subject_facts(version: ModelVersion, endpoint: Endpoint, target: Target, options: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides what will run: the bytes, how they are served, where, and under which policy."""
    served = VersionFile.objects.filter(version=version, is_served=True).first()
    environment = Environment.objects.get(pk=endpoint.environment_id)
    facts = {
        "version": {"id": version.pk, "number": version.number, "model": version.model_id, "digest": version.digest},
        "served": {"sha256": served.artifact_id if served else "", "name": served.name if served else ""},
        "format": version.served_format,
        "signature": version.signature,
        "requirements": version.requirements,
        "trusted": version.trusted,
        "class_labels": version.class_labels,
        "golden": version.golden,
        "options": options,
        "endpoint": {"id": endpoint.pk, "name": endpoint.name, "project": endpoint.project_id},
        "environment": {
            "id": environment.pk,
            "name": environment.name,
            "approvals_required": environment.approvals_required,
        },
        "target": {"id": target.pk, "name": target.name, "kind": target.kind, "config": target.config},
    }
    if version.tier == 2:  # a revoked exception changes the subject, and with it what may be built and started
        facts["exception"] = list(granted_names(version))
    return facts


def current_subject(release: Release) -> str:
    """The subject of a release as its parts stand in the database at this moment."""
    version = ModelVersion.objects.get(pk=release.version_id)
    endpoint = Endpoint.objects.get(pk=release.endpoint_id)
    target = Target.objects.get(pk=release.target_id)
    return subject_of(version, endpoint, target, release.options)


def comments(actor: Actor, release: Release) -> QuerySet[Comment]:
    """What was asked and answered, in that order."""
    return Comment.objects.visible_to(actor).filter(release=release).select_related("author")


def get_build(release: Release, pk: int) -> Build:
    build = release.builds.filter(pk=pk).first()
    if build is None:
        raise Missing(_("This release has no build #%(pk)s.") % {"pk": pk})
    return build


def last_build(release: Release) -> Build | None:
    return release.builds.order_by("-id").first()


def _projects(actor: Actor) -> list[int]:
    if actor.sees_all:
        return list(Project.objects.values_list("pk", flat=True))
    return list(actor.grants)
