"""Work on a row by one worker at a time: a lease with a fencing number, judged by the database's clock alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, connection, models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from apps.core.errors import StateConflict

log = structlog.get_logger(__name__)


def request_id() -> str:
    """The id of the request (or of the task that continues it) that we are working for; empty outside of any."""
    return structlog.contextvars.get_contextvars().get("request_id", "")


class Leased(models.Model):
    """Columns of a row that workers act on: when it is due, who holds it until when, and how often it was tried.

    ``request_id`` is the request that asked for the work: whoever takes the lease logs under it.
    """

    request_id = models.CharField(max_length=64, blank=True, default=request_id)
    due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=Leased)


def due(model: type[Row]) -> QuerySet[Row]:
    """Rows whose time has come and that nobody holds."""
    return model._default_manager.filter(_free(), due_at__lte=Now())


def find_due(model: type[Row], most: int) -> list[Any]:
    """Keys of up to ``most`` due rows, longest due first; those that somebody is writing just now are passed over."""
    with transaction.atomic():
        rows = due(model).select_for_update(skip_locked=True).order_by("due_at")
        return list(rows.values_list("pk", flat=True)[:most])


def take(model: type[Row], pk: Any, *, seconds: float, **condition: Any) -> Row | None:
    """The row under a new lease, or None when another worker holds it or ``condition`` is not met.

    Nobody waits here: a row that is locked is in other hands.
    """
    with transaction.atomic():
        free = model._default_manager.select_for_update(skip_locked=True).filter(_free(), pk=pk, **condition)
        taken = model._default_manager.filter(pk__in=free.order_by().values("pk")).update(
            fence=F("fence") + 1, attempts=F("attempts") + 1, lease_until=Now() + timedelta(seconds=seconds)
        )
    if not taken:
        return None
    row = model._default_manager.get(pk=pk)
    structlog.contextvars.bind_contextvars(request_id=row.request_id)
    return row


def write(row: Row, **facts: Any) -> None:
    """Write ``facts`` while our lease holds; raise StateConflict when another worker has taken over since."""
    if not type(row)._default_manager.filter(pk=row.pk, fence=row.fence).update(**facts):
        raise StateConflict(_("The lease was taken over by another worker."))
    for name, value in facts.items():
        setattr(row, name, value)


def forfeit(model: type[Row]) -> int:
    """End every lease, for the start of an only worker: whoever holds one is dead, and fences stop a ghost's writes."""
    held = model._default_manager.filter(lease_until__gt=Now())
    return held.update(lease_until=None, fence=F("fence") + 1)


def renew(row: Leased, *, seconds: float) -> None:
    write(row, lease_until=Now() + timedelta(seconds=seconds))


@contextmanager
def kept(row: Leased, *, seconds: float) -> Iterator[None]:
    """Renew the lease again and again for as long as the block runs, however long the world outside takes.

    So a lease can be short, and a dead worker's work is soon another's. A worker that was overtaken hears of it at its
    next write, not here.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_keep_renewing, args=(row, seconds, is_over), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _keep_renewing(row: Leased, seconds: float, is_over: threading.Event) -> None:
    held = type(row)._default_manager.filter(pk=row.pk, fence=row.fence, lease_until__isnull=False)
    while not is_over.wait(seconds / 3):
        try:
            if not held.update(lease_until=Now() + timedelta(seconds=seconds)):
                break
        except (DatabaseError, InterfaceError) as error:
            log.warning("lease_not_renewed", error=str(error))
        finally:
            connection.close()


def release(row: Leased, *, due_in: float | None, **facts: Any) -> None:
    """Give the lease back; the sweep rings again after ``due_in`` seconds, or never."""
    at = None
    if due_in is not None:  # SQLite writes a sum with more digits than Now(), and takes the longer one for later
        at = Now() + timedelta(seconds=due_in) if due_in else Now()
    write(row, lease_until=None, due_at=at, **facts)


def _free() -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
