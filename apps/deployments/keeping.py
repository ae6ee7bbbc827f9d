"""Which images have to stay in the registry."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.releases.attachments import tell
from apps.releases.models import Build, Release


def is_building() -> bool:
    """Whether a build waits or runs: what it has put into the registry belongs to nobody yet."""
    return Build.objects.filter(state__in=[Build.State.QUEUED, Build.State.RUNNING]).exists()


def needed_digests(*, grace: timedelta) -> set[str]:
    """The digests of images that may still be started, and of the packages that they stand on.

    An image stays while its release is approved or superseded (it runs, may be started, or may be rolled back to),
    while anything of it still runs, and for the grace time after its build.
    """
    needed: set[str] = set()
    for build in _needed(timezone.now() - grace).iterator(chunk_size=100):
        needed.add(build.digest)
        told = tell(build)
        needed |= {f"sha256:{digest}" for name, digest in told.materials if name == "runtime"} if told else set()
    return needed


def _needed(since: object) -> QuerySet[Build]:
    running = Deployment.objects.exclude(phase__in=[Deployment.Phase.STOPPED, Deployment.Phase.FAILED])
    return Build.objects.filter(
        Q(release__state__in=Release.STARTABLE) | Q(finished_at__gte=since) | Q(pk__in=running.values("build_id")),
        state=Build.State.DONE,
        builder="image",
    )
