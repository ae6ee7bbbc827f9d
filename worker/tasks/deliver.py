"""Bring one notice to one channel. A delivery whose time has come is found by the sweep; this is one try of it."""

import time
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings

from apps.core.errors import StateConflict
from apps.core.sealing import SealBroken
from apps.monitoring import deliveries
from apps.monitoring.models import Delivery
from worker.errors import ToolError
from worker.notifiers.base import MailSettings, NotifierSettings
from worker.notifiers.registry import send
from worker.specs import ChannelSpec, Message, Notice, Receipt, gettext_noop

log = structlog.get_logger(__name__)


@shared_task(name="slipway.deliver")
def deliver(pk: int) -> None:
    """Try once; what fails is due again after a while that grows, up to about five hours in all."""
    delivery = deliveries.begin_delivery(pk)
    if delivery is None:
        return
    started = time.monotonic()
    try:
        receipt = send(channel_spec(delivery), Notice(**delivery.notice), notifier_settings())
        deliveries.finish_delivery(delivery, **facts_of(receipt))
    except ToolError as error:
        fail(delivery, error, time.monotonic() - started)
    except StateConflict:
        log.info("overtaken", delivery=pk)


def fail(delivery: Delivery, error: ToolError, seconds: float) -> None:
    log.warning("delivery_failed", delivery=delivery.pk, channel=delivery.channel_id, error=str(error))
    try:
        deliveries.fail_delivery(delivery, failure=error.message.to_json(), seconds=seconds, permanent=error.permanent)
    except StateConflict:
        log.info("overtaken", delivery=delivery.pk)


def channel_spec(delivery: Delivery) -> ChannelSpec:
    channel = delivery.channel
    try:
        return ChannelSpec(channel.kind, channel.config, deliveries.channel_secrets(channel))
    except SealBroken as error:
        message = Message(
            gettext_noop("The secret of channel “%(name)s” does not open; renew it on the channels page."),
            {"name": channel.name},
        )
        raise ToolError(message, kind="seal_broken", permanent=True) from error


def notifier_settings() -> NotifierSettings:
    """What the operator of the installation decided: the mail server, and which receivers inside may be reached."""
    has_server = settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")
    security = "tls" if getattr(settings, "EMAIL_USE_SSL", False) else "starttls" if settings.EMAIL_USE_TLS else ""
    mail = MailSettings(
        host=settings.EMAIL_HOST if has_server else "",
        port=settings.EMAIL_PORT,
        username=settings.EMAIL_HOST_USER,
        password=settings.EMAIL_HOST_PASSWORD,
        security=security,
        sender=settings.DEFAULT_FROM_EMAIL,
    )
    return NotifierSettings(tuple(settings.SLIPWAY_OUTBOUND_ALLOWED), settings.SLIPWAY_CA_BUNDLE, mail)


def facts_of(receipt: Receipt) -> dict[str, Any]:
    return {"status": receipt.status, "seconds": receipt.seconds, "answer": receipt.answer}
