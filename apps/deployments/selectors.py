"""Reading deployments: what runs, what ran, what may be rolled back to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.deployments.models import Deployment, Replica, Route
from apps.library.models import ModelVersion
from apps.library.selectors import HEAVY
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint, Target
from apps.targets.selectors import endpoints, get_endpoint

READY = Count("replica_set", filter=Q(replica_set__state="running"), distinct=True)
SAMPLES_STAY = timedelta(seconds=45)  # one is taken every ten seconds
LARGE = ("build__attachments", "build__log")  # of a deployment's build, and no list shows them


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
        .defer(*LARGE)
        .prefetch_related("replica_set", "routes")
        .annotate(ready=READY)
        .order_by("-pk")  # grouping has dropped the model's own order
    )


def on_node(actor: Actor, target: Target, node: str) -> tuple[list[Replica], int]:
    """The replicas on a machine of a target: those that the actor may see, and how many there are beside them."""
    everything = Replica.objects.filter(deployment__target=target).exclude(state=Replica.State.EXITED)
    if target.kind != "process":  # which is one machine, and does not name it
        everything = everything.filter(node=node)
    related = ("deployment__project", "deployment__endpoint", "deployment__release__version__model")
    visible = everything.visible_to(actor).select_related(*related).order_by("deployment", "index")
    seen = list(visible[:200])
    return seen, everything.count() - len(seen)


@dataclass(frozen=True)
class Load:
    """What runs on a target: each deployment that the actor may see with its replicas, and how many are beside them."""

    deployments: list[tuple[Deployment, int]]
    others: int


def running_on(actor: Actor, targets: Iterable[Target]) -> dict[int, Load]:
    """By target, in three queries however many there are."""
    live = Replica.objects.filter(deployment__target__in=list(targets)).exclude(state=Replica.State.EXITED)
    totals = Counter(live.order_by().values_list("deployment__target", flat=True))
    counted = Counter(live.visible_to(actor).order_by().values_list("deployment", flat=True))
    related = ("project", "endpoint", "release__version__model")
    shown: dict[int, list[tuple[Deployment, int]]] = {pk: [] for pk in totals}
    for row in Deployment.objects.filter(pk__in=counted).select_related(*related).order_by("-pk"):
        shown[row.target_id].append((row, counted[row.pk]))
    return {pk: Load(rows, totals[pk] - sum(count for _row, count in rows)) for pk, rows in shown.items()}


def routes(endpoint: Endpoint) -> QuerySet[Route]:
    """Who gets which share of the endpoint's traffic now."""
    related = "deployment__release__version__model"
    return Route.objects.filter(endpoint=endpoint, weight__gt=0).select_related(related).order_by("-weight", "-pk")


def takes_all(deployment: Deployment) -> bool:
    """Whether calls reach nobody without this deployment."""
    taking = Route.objects.filter(endpoint=deployment.endpoint_id, weight__gt=0).values_list("deployment", flat=True)
    return list(taking) == [deployment.pk]


def live(endpoint: Endpoint) -> Deployment | None:
    """The deployment that takes most of the endpoint's traffic."""
    row = routes(endpoint).first()
    return row.deployment if row else None


def before(release: Release) -> Deployment | None:
    """What the release replaces: what is live at its endpoint now or, once it was deployed itself, what was then."""
    own = release.deployments.order_by("pk").first()
    if own is None:
        return live(release.endpoint)
    rows = Deployment.objects.filter(endpoint=release.endpoint, live_at__lt=own.created_at).exclude(release=release)
    return rows.select_related("release__version__model", "release__version__uploaded_by").order_by("-live_at").first()


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


def due_starts() -> QuerySet[Release]:
    """Approved and built releases whose environment starts them by itself, and that were never started."""
    built = Build.objects.filter(state=Build.State.DONE)
    return (
        Release.objects.filter(
            state=Release.State.APPROVED,
            endpoint__environment__starts_by_itself=True,
            target__is_enabled=True,
            deployments__isnull=True,
            builds__in=built,
        )
        .prefetch_related(Prefetch("builds", built.defer("attachments", "log")))
        .distinct()
    )


def replicas(deployment: Deployment) -> list[Replica]:
    """The replicas, each with its ``usage``: the newest sample of its processor time and memory, if it is fresh."""
    fresh = deployment.samples.filter(at__gte=timezone.now() - SAMPLES_STAY).order_by("at")
    usage = {sample.replica_name: sample for sample in fresh}
    rows = list(Replica.objects.filter(deployment=deployment))
    for row in rows:
        row.usage = usage.get(row.name)  # type: ignore[attr-defined]
    return rows


def current(endpoint: Endpoint) -> Deployment | None:
    """The deployment that an endpoint's page is about: the newest that is wanted, else the newest."""
    rows = Deployment.objects.filter(endpoint=endpoint).select_related(
        "project", "endpoint", "release__version__model", "build", "target", "started_by"
    )
    return rows.defer(*LARGE).order_by("-is_wanted", "-pk").first()


def running(endpoint: Endpoint) -> list[Deployment]:
    """The deployments that traffic could be given to."""
    rows = Deployment.objects.filter(endpoint=endpoint, is_wanted=True, phase__in=["running", "degraded"])
    return list(rows.select_related("release__version__model"))


def history(endpoint: Endpoint, limit: int = 100) -> QuerySet[Deployment]:
    """Everything that ever ran here, newest first."""
    related = ("release__version__model", "started_by", "target")
    return Deployment.objects.filter(endpoint=endpoint).select_related(*related).order_by("-pk")[:limit]


def served_by(actor: Actor, version: ModelVersion) -> list[Endpoint]:
    """The endpoints where a version ran or runs; ``phase`` is how its newest deployment there stands."""
    newest = Deployment.objects.filter(release__version=version, endpoint=OuterRef("pk")).order_by("-pk")
    rows = Endpoint.objects.visible_to(actor).annotate(phase=Subquery(newest.values("phase")[:1]))
    return list(rows.filter(phase__isnull=False).select_related("environment").order_by("name"))


def running_for(project: Project, model: str, number: int | None = None) -> QuerySet[Deployment]:
    """The wanted deployments of a model's versions, or of one of them."""
    rows = Deployment.objects.filter(project=project, is_wanted=True, release__version__model__name=model)
    if number is not None:
        rows = rows.filter(release__version__number=number)
    return rows.select_related("endpoint__environment", "release__version__model", "target").order_by("endpoint__name")


def running_by_model(project: Project, names: list[str]) -> dict[str, list[Deployment]]:
    """The wanted deployments of each of these models, in one query; models that run nowhere are left out."""
    rows = Deployment.objects.filter(project=project, is_wanted=True, release__version__model__name__in=names)
    found: dict[str, list[Deployment]] = {}
    for row in rows.select_related("endpoint__environment", "release__version__model", "target"):
        found.setdefault(row.release.version.model.name, []).append(row)
    return found


@dataclass(frozen=True)
class EndpointRow:
    """One line of the endpoint list."""

    endpoint: Endpoint
    state: str
    deployment: Deployment | None  # what takes most of the traffic
    ready: int


def endpoint_rows(actor: Actor, project: Project) -> list[EndpointRow]:
    """Every endpoint with its state and what serves there, unhealthy first; a constant number of queries."""
    made = [_endpoint_row(row) for row in with_known(endpoints(actor, project))]
    return sorted(made, key=lambda row: (UNHEALTHY_FIRST.index(row.state), row.endpoint.name))


UNHEALTHY_FIRST = ["failed", "degraded", "starting", "running", "stopped", "empty"]


def _endpoint_row(row: Endpoint) -> EndpointRow:
    top = next(iter(routed(row.known)), None)  # type: ignore[attr-defined]
    return EndpointRow(row, state_word(row.known), top, top.ready if top else 0)  # type: ignore[attr-defined]


def with_known(rows: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
    """The endpoints, each with its ``known`` deployments in a list: one query more, however many there are."""
    return rows.prefetch_related(Prefetch("deployments", _known(), to_attr="known"))


def _known() -> QuerySet[Deployment]:
    """Of every endpoint the deployments that are wanted or take traffic, and the newest; newest first.

    Each with its number of ``ready`` replicas and its ``weight`` in the traffic (None without one).
    """
    newest = Deployment.objects.filter(endpoint=OuterRef("endpoint")).order_by("-pk").values("pk")[:1]
    rows = Deployment.objects.filter(Q(is_wanted=True) | Q(routes__weight__gt=0) | Q(pk=Subquery(newest)))
    return (
        rows.select_related("release__version__model")
        .defer(*(f"release__version__{name}" for name in HEAVY))
        .annotate(ready=READY, weight=Max("routes__weight", filter=Q(routes__weight__gt=0)))
        .order_by("-pk")
    )


def routed(known: Iterable[Any]) -> list[Any]:
    """Those of an endpoint's known deployments that take its traffic, the largest share first."""
    return sorted((one for one in known if one.weight), key=lambda one: (-one.weight, -one.pk))


def state_word(known: Sequence[Any]) -> str:
    """One word for an endpoint: what takes its traffic decides and, where nothing does, the newest deployment."""
    if taking := routed(known):
        ready = sum(one.ready for one in taking)
        if not ready:
            return "failed"
        is_whole = ready >= sum(one.replicas for one in taking) and all(one.phase == "running" for one in taking)
        return "running" if is_whole else "degraded"
    if any(one.is_wanted for one in known):
        return "starting"
    if not known:
        return "empty"
    return "failed" if known[0].phase == "failed" else "stopped"


def get_serving(actor: Actor, project: Project, name: str) -> Endpoint:
    """One endpoint as ``serving_endpoints`` lists it."""
    return serving_endpoints(actor, project).get(pk=get_endpoint(actor, project, name).pk)


def serving_endpoints(actor: Actor, project: Project) -> QuerySet[Endpoint]:
    """The project's endpoints with their ``known`` deployments and the replicas of those: two queries more."""
    known = _known().prefetch_related(Prefetch("replica_set", Replica.objects.defer("log", "sealed")))
    return endpoints(actor, project).prefetch_related(Prefetch("deployments", known, to_attr="known"))


def logs(deployment: Deployment) -> dict[str, list[str]]:
    """The newest log lines of each replica, by its name."""
    rows = deployment.replica_set.values_list("name", "log")
    return {name: text.splitlines() for name, text in rows}


def endpoint_state(endpoint: Endpoint) -> str:
    """The word for one endpoint, as in the list of all."""
    return state_word(list(_known().filter(endpoint=endpoint)))


def _good(endpoint: Endpoint) -> QuerySet[Deployment]:
    rows = Deployment.objects.filter(
        endpoint=endpoint,
        live_at__isnull=False,
        release__state__in=Release.STARTABLE,
        build__state=Build.State.DONE,
    )
    return rows.select_related("release__version__model", "build", "target").defer(*LARGE)
