"""Fetch the newest log lines of what runs, so that pages can show them wherever the replica is."""

from pathlib import Path

import structlog
from django.conf import settings

from apps.deployments.models import Deployment
from apps.deployments.observing import note_log
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.tasks.reconcile import owned, target_spec

log = structlog.get_logger(__name__)


def collect_logs() -> None:
    """One look at every deployment that is wanted; a target that does not answer is left for the next round."""
    for deployment in Deployment.objects.filter(is_wanted=True).select_related("target"):
        try:
            driver = open_driver(target_spec(deployment.target), Path(settings.SLIPWAY_HOME))
            for name in owned(deployment, driver):
                note_log(name, driver.logs(name))
        except ToolError as error:
            log.info("logs_away", deployment=deployment.pk, error=str(error))
