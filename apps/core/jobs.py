"""Jobs: a name and an id. The row is the truth; Celery is only a doorbell rung after commit.

A ring that gets lost loses nothing: the sweep finds every row that is due and rings again. Without a broker the sweep
alone rings, once a second, inside the one worker process.
"""

import time
from enum import StrEnum

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

RING_SECONDS = 3.0  # a page waits no longer for a broker that hangs
SILENCE_SECONDS = 5.0  # and pages after it do not wait at all
_silent_until = 0.0


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
    global _silent_until
    if settings.SLIPWAY_EMBEDDED or time.monotonic() < _silent_until:
        return
    patience = {"timeout": RING_SECONDS, "confirm_timeout": RING_SECONDS}
    try:
        current_app.send_task(f"slipway.{job}", args=[pk], retry=False, **patience)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("broker_away", job=str(job), pk=pk, error=str(error))
