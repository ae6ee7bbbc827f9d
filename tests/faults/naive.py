"""The reconciler that one would write first: it does what is asked when it is asked, and writes it down afterwards.

It is right as long as nothing happens on the way. It is kept here so that the storm can show that it sees.
"""

import uuid
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from apps.deployments.credentials import seal_secret
from apps.deployments.models import Deployment, Replica, Route
from worker.drivers.base import Driver
from worker.drivers.registry import open_driver
from worker.tasks.reconcile import replica_spec, target_spec


def reconcile(pk: int) -> None:
    """Stop what ran before, start what is wanted now, and send the traffic there."""
    deployment = Deployment.objects.get(pk=pk)
    Deployment.objects.filter(pk=pk).update(due_at=None)  # taken from the queue
    driver = open_driver(target_spec(deployment.target), Path(settings.SLIPWAY_HOME))
    for row in deployment.replica_set.all():
        driver.stop(row.name, 0.0)
        row.delete()
    if deployment.is_wanted:
        for index in range(deployment.replicas):
            _start(deployment, driver, index)
        _move_traffic(deployment)
    phase = "running" if deployment.is_wanted else "stopped"
    Deployment.objects.filter(pk=pk).update(phase=phase, observed_generation=deployment.generation)


def _start(deployment: Deployment, driver: Driver, index: int) -> None:
    name = f"slipway-{deployment.pk}-{uuid.uuid4().hex[:8]}-{index}"
    row = Replica(deployment=deployment, index=index, name=name, sealed=seal_secret(name, "secret"))
    row.address = driver.start(replica_spec(deployment, row)).address
    row.state = Replica.State.RUNNING
    row.save()


def _move_traffic(deployment: Deployment) -> None:
    Route.objects.filter(endpoint=deployment.endpoint).delete()
    Route.objects.create(endpoint=deployment.endpoint, deployment=deployment, weight=100)
    older = Deployment.objects.filter(endpoint=deployment.endpoint, is_wanted=True, pk__lt=deployment.pk)
    older.update(is_wanted=False, due_at=timezone.now())
    Deployment.objects.filter(pk=deployment.pk).update(live_at=timezone.now())
