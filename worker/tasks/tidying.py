"""Images and networks on targets that nothing refers to any more."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings

from apps.deployments.keeping import needed_digests
from apps.targets.models import Target
from worker.builders.image.access import parse_address
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.tasks.images import image_to_look_with, registry
from worker.tasks.reconcile import target_spec

GRACE = timedelta(days=1)
log = structlog.get_logger(__name__)


def tidy_targets() -> None:
    for target, names in find_garbage(grace=GRACE, is_dry=False):
        log.info("tidied", target=target.name, removed=names)


def find_garbage(*, grace: timedelta, is_dry: bool) -> Iterator[tuple[Target, list[str]]]:
    """By target what went, or would go; a target that is away keeps what it has until another time."""
    access = registry()
    if access is None:
        return
    address, eyes = parse_address(access), image_to_look_with()
    kept = needed_digests(grace=grace) | ({eyes.location.rpartition("@")[2]} if eyes else set())
    repository = f"{address.host}/{address.prefix}".rstrip("/")
    for target in Target.objects.all():
        try:
            driver = open_driver(target_spec(target), Path(settings.SLIPWAY_HOME))
            names = driver.tidy(settings.SLIPWAY_INSTANCE, kept, repository, is_dry=is_dry)
        except ToolError as error:
            log.warning("target_away", target=target.name, error=str(error))
            continue
        if names:
            yield target, names
