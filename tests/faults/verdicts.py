"""What must hold when all is over, and what must hold at every moment in between."""

from collections import Counter
from collections.abc import Iterator

from apps.audit.services import verify_chain
from apps.deployments.models import Deployment, Replica, Route
from apps.deployments.selectors import due_starts
from apps.library.models import ModelVersion
from apps.monitoring.models import Delivery
from apps.releases.models import Build
from tests.faults.lab import Lab


def unsettled(lab: Lab) -> list[str]:
    """What is not yet, or never will be, as it is wanted: empty once the system has come to rest in the right place."""
    return [*_lost_work(lab), *_lost_deployments(lab), *_left_over(lab), *_wrong_routes(lab)]


def breaches(lab: Lab) -> list[str]:
    """What was wrong at some moment on the way, however short."""
    found = verify_chain()
    broken = [f"the audit log is broken: {found.problem}"] if found.problem else []
    return [*lab.breaches.read_text().splitlines(), *broken]


def _lost_work(lab: Lab) -> Iterator[str]:
    for version in ModelVersion.objects.filter(state__in=["uploaded", "examining"]):
        yield f"{version} is {version.state}"
    for version in ModelVersion.objects.filter(state="refused"):
        yield f"{version} was refused"
    for build in Build.objects.exclude(state="done").exclude(state="skipped", release__state="superseded"):
        yield f"build {build.pk} is {build.state} {build.failure}"
    for release in due_starts():
        yield f"release {release.pk} was not started"
    for delivery in Delivery.objects.exclude(state="sent"):
        yield f"delivery {delivery.pk} is {delivery.state} {delivery.failure}"
    arrived = {headers["webhook-id"] for _path, headers, _body in lab.receiver.requests}
    yield from (f"notice {key} never arrived" for key in sorted(lab.noticed - arrived))


def _lost_deployments(lab: Lab) -> Iterator[str]:
    names = Counter(status.labels["deployment"] for status in lab.host.list_owned(lab.instance))
    for row in Deployment.objects.all():
        runs = names[str(row.pk)]
        if row.is_wanted and (row.phase != "running" or runs != row.replicas):
            yield f"{row} is {row.phase} with {runs} of {row.replicas} replicas"
        if not row.is_wanted and row.phase != "stopped":
            yield f"{row} is not wanted and {row.phase}: {row.failure}"


def _left_over(lab: Lab) -> Iterator[str]:
    wanted = {str(pk) for pk in Deployment.objects.filter(is_wanted=True).values_list("pk", flat=True)}
    for status in lab.host.list_owned(lab.instance):
        if status.labels["deployment"] not in wanted:
            yield f"{status.name} is an orphan"


def _wrong_routes(lab: Lab) -> Iterator[str]:
    for name in sorted(lab.routed() - set(lab.host.names())):
        yield f"calls are routed to {name}, which is not there"
    reached, wanted = lab.routed(), Deployment.objects.filter(is_wanted=True, routes__weight__gt=0)
    for replica in Replica.objects.filter(deployment__in=wanted):
        if replica.name not in reached:
            yield f"no calls are routed to {replica.name}, which is {replica.state} at “{replica.address}”"
    for route in Route.objects.select_related("deployment"):
        if not route.deployment.is_wanted:
            yield f"calls are routed to deployment {route.deployment_id}, which nobody wants"
    for endpoint in lab.endpoints:
        weights = [route.weight for route in endpoint.routes.all()]
        is_served = Deployment.objects.filter(endpoint=endpoint, is_wanted=True).exists()
        if is_served and sum(weights) != 100:
            yield f"{endpoint} has {sum(weights)} % of its calls answered"
