"""Notices on their way: queued with the change they tell of, tried until they arrive or have been tried enough."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.audit.services import record
from apps.core.actors import SYSTEM
from apps.core.jobs import Job, enqueue
from apps.core.leases import release, take
from apps.core.sealing import unseal
from apps.monitoring.models import Alert, Channel, Delivery

LEASE_SECONDS = 60

#: Seconds to wait after each failed try; after one more there is no other. About five hours in all.
BACKOFF = (10, 30, 120, 600, 1800, 3600, 10800)
MOST_TRIES = len(BACKOFF) + 1
_LOST = {
    "text": gettext_noop("The worker was lost %(tries)d times in a row while it delivered this."),
    "params": {"tries": MOST_TRIES},
}


def queue(
    channel: Channel,
    event: str,
    *,
    title: str,
    text: str,
    alert: Alert | None = None,
    path: str = "",
    data: Mapping[str, Any] | None = None,
) -> Delivery:
    """Queue one notice for one channel, in the transaction of the change it tells of."""
    delivery = Delivery(channel=channel, alert=alert, event=event, due_at=Now())
    delivery.notice = {
        "key": str(delivery.key),
        "event": event,
        "at": timezone.now().isoformat(),
        "title": title,
        "text": text,
        "data": dict(data or {}),
        "url": f"{settings.SLIPWAY_WEB_URL}{path}" if path else "",
    }
    delivery.save()
    enqueue(Job.DELIVER, delivery.pk)
    return delivery


def begin_delivery(pk: int) -> Delivery | None:
    """The delivery under a lease; None when it is not due, done, or in other hands. One that kills its workers is
    given up.
    """
    delivery = take(Delivery, pk, seconds=LEASE_SECONDS, state=Delivery.State.QUEUED, due_at__lte=Now())
    if delivery is None:
        return None
    if delivery.attempts > MOST_TRIES:
        fail_delivery(delivery, failure=_LOST, seconds=0.0, permanent=True)
        return None
    return Delivery.objects.select_related("channel__project").get(pk=pk)


def channel_secrets(channel: Channel) -> dict[str, str]:
    """What the notifier needs to sign with, opened; raises SealBroken."""
    return {"secret": unseal(channel.sealed, channel.seal_place)} if channel.sealed else {}


def finish_delivery(delivery: Delivery, *, status: int, seconds: float, answer: str) -> None:
    """It arrived: note what the other side answered."""
    now = timezone.now()
    release(
        delivery,
        due_in=None,
        state=Delivery.State.SENT,
        sent_at=now,
        status=status,
        answer=answer[:500],
        failure=None,
        tries=[*delivery.tries, _try(now, seconds=seconds, status=status, answer=answer[:500])],
    )


@transaction.atomic
def fail_delivery(delivery: Delivery, *, failure: Mapping[str, Any], seconds: float, permanent: bool) -> None:
    """It did not arrive: try again later, or give up where that cannot help or it was the last try."""
    tries = [*delivery.tries, _try(timezone.now(), seconds=seconds, failure=dict(failure))]
    if permanent or delivery.attempts >= MOST_TRIES:
        release(delivery, due_in=None, state=Delivery.State.FAILED, failure=dict(failure), tries=tries)
        record(SYSTEM, "delivery.failed", delivery, after={"tries": delivery.attempts, "reason": failure["text"]})
        return
    release(delivery, due_in=BACKOFF[delivery.attempts - 1], failure=dict(failure), tries=tries)


def _try(at: datetime, *, seconds: float, **outcome: Any) -> dict[str, Any]:
    return {"at": at.isoformat(), "seconds": round(seconds, 3), **outcome}
