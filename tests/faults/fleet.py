"""Real Docker hosts under the real reconcile task: a database of its own, endpoints on targets, and some workers."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import connections

from apps.core import leases
from apps.core.actors import SYSTEM
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Route
from apps.releases import services as releases
from apps.releases.models import Build
from apps.targets.models import Endpoint
from apps.targets.services import create_target
from tests import world
from tests.cast import Cast
from tests.engines.hosts.ground import Ground
from tests.engines.hosts.images import push_small_image
from tests.promises.beds import wait_for
from worker.drivers.docker_host.policy import LABEL
from worker.tasks.images import IMAGE
from worker.tasks.reconcile import reconcile

LIVE_SECONDS = 60.0
WORKERS = 4
PAUSE_SECONDS = 0.1  # of a worker that has nothing to do


@dataclass
class Fleet:
    cast: Cast
    ground: Ground

    def make_endpoint(self, name: str, hosts: Sequence[Mapping[str, str]]) -> Endpoint:
        """An endpoint on a target of its own, which has these hosts."""
        secrets = self.ground.hosts.secrets
        config = {"hosts": [dict(host) for host in hosts]}
        target = create_target(actor=SYSTEM, name=name, kind="docker", config=config, secrets=secrets)
        environment = world.environment(self.cast, name, target=target)
        omar = self.cast.user("omar")
        return Endpoint.objects.create(project=self.cast.project, name=name, environment=environment, created_by=omar)

    def start(self, endpoint: Endpoint, replicas: int = 2) -> Deployment:
        """One more release of the model of the endpoint's name, approved and built, started."""
        version = world.ready_version(self.cast, endpoint.name)
        dana, rhea, omar = (self.cast.actor(name) for name in ("dana", "rhea", "omar"))
        release = releases.propose(actor=dana, version=version, endpoint=endpoint, replicas=replicas)
        releases.approve(actor=rhea, release=release, subject=release.subject)
        location = push_small_image(self.ground.registry, endpoint.name, subject=release.subject)
        facts = {"builder": IMAGE, "location": location, "digest": location.rpartition("@")[2]}
        Build.objects.filter(release=release).update(state="done", due_at=None, **facts)
        return deployments.start_release(actor=omar, release=release)

    def wait_until_live(self, *rows: Deployment, seconds: float = LIVE_SECONDS) -> float:
        """The seconds until all of them have their endpoints' traffic and run in full."""
        begun = time.monotonic()
        wait_for(lambda: all(is_live(row) for row in rows), seconds=seconds)
        return time.monotonic() - begun

    def containers(self, deployment: Deployment) -> dict[str, str]:
        """The containers of a deployment, as the hosts themselves have them: ``host/name`` and id."""
        ours = {"label": [f"{LABEL}instance={settings.SLIPWAY_INSTANCE}", f"{LABEL}deployment={deployment.pk}"]}
        return {
            f"{daemon.name}/{each.name}": str(each.id)
            for daemon in self.ground.hosts.daemons
            for each in daemon.client.containers.list(all=True, filters=ours, ignore_removed=True)
        }

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let some workers look at whatever is due."""
        is_over = threading.Event()

        def work() -> None:
            try:
                while not is_over.is_set():
                    due = leases.find_due(Deployment, 1)
                    for pk in due:
                        reconcile(pk)
                    is_over.wait(0.0 if due else PAUSE_SECONDS)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="worker") as pool:
            lives = [pool.submit(work) for _ in range(WORKERS)]
            try:
                yield
            finally:
                is_over.set()
        for life in lives:
            life.result()


def is_live(deployment: Deployment) -> bool:
    row = Deployment.objects.get(pk=deployment.pk)
    return row.phase == "running" and Route.objects.filter(deployment=row, weight=100).exists()


def note_moments(conditions: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The moment (monotonic) at which each was seen to be true."""
    moments: dict[str, float] = {}

    def are_true() -> bool:
        for name in conditions.keys() - moments.keys():
            if conditions[name]():
                moments[name] = time.monotonic()
        return len(moments) == len(conditions)

    wait_for(are_true, seconds=seconds)
    return moments
