"""``/metrics`` of the web process: for this machine, and for whoever holds a key that may read."""

from collections.abc import Iterator

from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from apps.accounts.authentication import find_key
from apps.accounts.middleware import client_ip
from apps.audit.models import Head
from apps.core.errors import Missing
from apps.core.jobs import Job
from apps.core.leases import Leased, due
from apps.core.metrics import REGISTRY
from apps.deployments.models import Deployment
from apps.library.models import ModelVersion
from apps.monitoring.models import Alert, Delivery
from apps.releases.models import Build
from apps.targets.models import Target, Trial

LOOPBACK = frozenset({"127.0.0.1", "::1"})
PROXY_HEADERS = frozenset({"X-Forwarded-For", "Forwarded", "X-Real-Ip"})

ROWS: dict[Job, type[Leased]] = {
    Job.EXAMINE: ModelVersion,
    Job.BUILD: Build,
    Job.RECONCILE: Deployment,
    Job.CHECK_TARGET: Target,
    Job.TRY_TARGET: Trial,
    Job.DELIVER: Delivery,
}


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """What this process counted, and what waits in the database at this moment."""
    if not may_ask(request):
        raise Missing(_("There is nothing here."))
    return HttpResponse(generate_latest(REGISTRY) + generate_latest(Backlog()), content_type=CONTENT_TYPE_LATEST)


def may_ask(request: HttpRequest) -> bool:
    """Somebody on this machine who speaks for nobody else, or the holder of a key with the scope ``read``."""
    speaks_for_another = any(name in request.headers for name in PROXY_HEADERS)
    if request.META.get("REMOTE_ADDR") in LOOPBACK and not speaks_for_another:
        return True
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    key = find_key(token.strip(), client_ip(request)) if scheme.lower() == "bearer" else None
    return key is not None and "read" in key.scopes


class Backlog:
    """Gauges that are read from the database when they are asked for."""

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "slipway_jobs_due", "Rows whose time has come and that nobody holds.", labels=["job"]
        )
        oldest = GaugeMetricFamily("slipway_jobs_oldest_due_seconds", "How long the oldest has waited.", labels=["job"])
        now = timezone.now()
        for job, model in ROWS.items():
            found = due(model).aggregate(number=Count("pk"), first=Min("due_at"))
            waiting.add_metric([str(job)], found["number"])
            oldest.add_metric([str(job)], (now - found["first"]).total_seconds() if found["first"] else 0)
        yield waiting
        yield oldest
        firing = Alert.objects.filter(state=Alert.State.FIRING).count()
        yield GaugeMetricFamily("slipway_alerts_firing", "Alerts that nobody has acknowledged.", value=firing)
        entries = Head.objects.values_list("seq", flat=True).first() or 0
        yield GaugeMetricFamily("slipway_audit_entries", "Entries in the audit log.", value=entries)
