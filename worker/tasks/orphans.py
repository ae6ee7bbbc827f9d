"""Take away what carries our label on a target but belongs to no deployment of ours any more."""

from pathlib import Path

import structlog
from django.conf import settings

from apps.deployments.observing import forgotten
from apps.targets.models import Target
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.tasks.reconcile import target_spec

log = structlog.get_logger(__name__)


def clear_orphans() -> None:
    """One look at every target, disabled ones too; what does not carry our label is never touched."""
    for target in Target.objects.all():
        try:
            driver = open_driver(target_spec(target), Path(settings.SLIPWAY_HOME))
            seen = driver.list_owned(settings.SLIPWAY_INSTANCE)
            owners = {status.name: int(status.labels.get("deployment") or 0) for status in seen}
            for name in forgotten(owners):
                if forgotten({name: owners[name]}):  # still: somebody may have wanted it again while others drained
                    log.warning("orphan_stopped", target=target.name, name=name)
                    driver.stop(name, drain_seconds=10.0)
        except ToolError as error:
            log.warning("target_away", target=target.name, error=str(error))
