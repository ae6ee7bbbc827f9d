"""Jobs: a name and an id. The row is the truth; Celery is only a doorbell rung after commit.

A ring that gets lost loses nothing: the sweep finds every row that is due and rings again. Without a broker the sweep
alone rings, once a second, inside the one worker process.
"""

from enum import StrEnum

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


class Job(StrEnum):
    EXAMINE = "examine"  # a ModelVersion
    BUILD = "build"  # a Build
    RECONCILE = "reconcile"  # a Deployment
    CHECK_TARGET = "check_target"  # a Target
    DELIVER = "deliver"  # a Delivery


def enqueue(job: Job, pk: int) -> None:
    """Ring for ``job`` on row ``pk`` once the present transaction has committed."""
    transaction.on_commit(lambda: ring(job, pk))


def ring(job: Job, pk: int) -> None:
    """Ring now, where there is a broker. One that is away is no error: the sweep will find the row."""
    if settings.SLIPWAY_EMBEDDED:
        return
    try:
        current_app.send_task(f"slipway.{job}", args=[pk], retry=False)
    except OperationalError as error:
        log.warning("broker_away", job=str(job), pk=pk, error=str(error))
