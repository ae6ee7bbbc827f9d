"""Reading deployments: what runs, what ran, what may be rolled back to."""

from django.db.models import Count, Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.deployments.models import Deployment, Replica, Route
from apps.library.models import ModelVersion
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint


def get_deployment(actor: Actor, project: Project, pk: int) -> Deployment:
    found = deployments(actor, project).filter(pk=pk).first()
    if found is None:
        raise Missing(_("There is no deployment %(pk)s in this project.") % {"pk": pk})
    return found


def deployments(actor: Actor, project: Project) -> QuerySet[Deployment]:
    """The project's deployments, newest first, with what a list shows of them."""
    return (
        Deployment.objects.visible_to(actor)
        .filter(project=project)
        .select_related("project", "endpoint", "release__version__model", "build", "target", "started_by")
        .prefetch_related("replica_set", "routes")
        .annotate(ready=Count("replica_set", filter=Q(replica_set__state="running"), distinct=True))
    )


def routes(endpoint: Endpoint) -> QuerySet[Route]:
    """Who gets which share of the endpoint's traffic now."""
    related = "deployment__release__version__model"
    return Route.objects.filter(endpoint=endpoint, weight__gt=0).select_related(related).order_by("-weight", "-pk")


def live(endpoint: Endpoint) -> Deployment | None:
    """The deployment that takes most of the endpoint's traffic."""
    row = routes(endpoint).first()
    return row.deployment if row else None


def last_good(endpoint: Endpoint) -> Deployment | None:
    """What to roll back to: the newest deployment of another release that once took traffic and may run again."""
    now = live(endpoint)
    rows = _good(endpoint).order_by("-live_at")
    if now is not None:
        rows = rows.exclude(release=now.release_id).filter(live_at__lt=now.live_at or now.created_at)
    return rows.first()


def good(endpoint: Endpoint) -> list[Deployment]:
    """The newest good deployment of every release that could be rolled back to, newest first."""
    seen: dict[int, Deployment] = {}
    for row in _good(endpoint).order_by("-live_at")[:100]:
        seen.setdefault(row.release_id, row)
    return list(seen.values())


def running_versions(project: Project) -> dict[int, list[Deployment]]:
    """For each version that takes traffic: the deployments that run it."""
    rows = Route.objects.filter(endpoint__project=project, weight__gt=0).select_related(
        "deployment__endpoint__environment", "deployment__release"
    )
    found: dict[int, list[Deployment]] = {}
    for row in rows:
        found.setdefault(row.deployment.release.version_id, []).append(row.deployment)
    return found


def where_runs(version: ModelVersion) -> QuerySet[Deployment]:
    """The deployments of a version that are wanted now."""
    return Deployment.objects.filter(release__version=version, is_wanted=True).select_related(
        "endpoint__environment", "target", "release"
    )


def due_starts() -> QuerySet[Release]:
    """Approved and built releases whose environment starts them by itself, and that were never started."""
    built = Build.objects.filter(state=Build.State.DONE)
    return (
        Release.objects.filter(
            state=Release.State.APPROVED,
            endpoint__environment__starts_by_itself=True,
            deployments__isnull=True,
            builds__in=built,
        )
        .prefetch_related(Prefetch("builds", built))
        .distinct()
    )


def replicas(deployment: Deployment) -> QuerySet[Replica]:
    return Replica.objects.filter(deployment=deployment)


def logs(deployment: Deployment) -> dict[str, list[str]]:
    """The newest log lines of each replica, by its name."""
    rows = deployment.replica_set.values_list("name", "log")
    return {name: text.splitlines() for name, text in rows}


def endpoint_state(endpoint: Endpoint) -> str:
    """One word for an endpoint: running, degraded, starting, failed or empty (nothing was ever started)."""
    rows = list(Deployment.objects.filter(endpoint=endpoint).order_by("-pk").values("pk", "phase", "is_wanted")[:20])
    routed = set(Route.objects.filter(endpoint=endpoint, weight__gt=0).values_list("deployment_id", flat=True))
    phases = [row["phase"] for row in rows if row["pk"] in routed]
    if phases:
        return "running" if all(phase == "running" for phase in phases) else "degraded"
    if any(row["is_wanted"] for row in rows):
        return "starting"
    return "failed" if rows and rows[0]["phase"] == "failed" else ("stopped" if rows else "empty")


def _good(endpoint: Endpoint) -> QuerySet[Deployment]:
    return Deployment.objects.filter(
        endpoint=endpoint, live_at__isnull=False, release__state=Release.State.APPROVED, build__state=Build.State.DONE
    ).select_related("release__version__model", "build", "target")
