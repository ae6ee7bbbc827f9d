"""Jobs: a name and an id. The row is the truth; Celery is only a doorbell rung after commit.

A ring that gets lost loses nothing: the sweep finds every row that is due and rings again. Without a broker the sweep
alone rings, twice a second, inside the one worker process.
"""

import time
from enum import StrEnum

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.pools import producers

log = structlog.get_logger(__name__)

RING_SECONDS = 2.0  # a page waits no longer for a broker that hangs
SILENCE_SECONDS = 5.0  # and pages after it do not wait at all
_silent_until = 0.0


class Job(StrEnum):
    EXAMINE = "examine"  # a ModelVersion
    BUILD = "build"  # a Build
    RECONCILE = "reconcile"  # a Deployment
    CHECK_TARGET = "check_target"  # a Target
    TRY_TARGET = "try_target"  # a Trial of a target
    DELIVER = "deliver"  # a Delivery


def enqueue(job: Job, pk: int) -> None:
    """Ring for ``job`` on row ``pk`` once the present transaction has committed."""
    transaction.on_commit(lambda: ring(job, pk))


def ring(job: Job, pk: int) -> None:
    """Ring now, where there is a broker. One that is away is no error: the sweep will find the row."""
    global _silent_until
    if settings.SLIPWAY_EMBEDDED or time.monotonic() < _silent_until:
        return
    bell = _bell()
    try:
        with producers[bell].acquire(block=True, timeout=RING_SECONDS) as producer:
            patience = {"retry": False, "confirm_timeout": RING_SECONDS}
            current_app.send_task(f"slipway.{job}", args=[pk], producer=producer, **patience)
    except (KombuError, OSError, *bell.connection_errors, *bell.channel_errors) as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("broker_away", job=str(job), pk=pk, error=str(error))


def _bell() -> Connection:
    """The broker as those see it who only ring: its answers are not waited for without end, not even to a goodbye."""
    connection = current_app.connection_for_write()
    patience = {"read_timeout": RING_SECONDS, "write_timeout": RING_SECONDS}  # of RabbitMQ; Redis has its own
    connection.transport_options = {**connection.transport_options, **patience}
    return connection
