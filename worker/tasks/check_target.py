"""Look at a target: does it answer, what has it, what is wrong."""

from dataclasses import asdict
from pathlib import Path

from celery import shared_task
from django.conf import settings

from apps.targets import services as targets
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.specs import CheckLine, gettext_noop
from worker.tasks.reconcile import target_spec


@shared_task(name="slipway.check_target")
def check_target(pk: int) -> None:
    """Write down what a check of the target saw, line by line; one that does not answer is a line too."""
    target = targets.begin_check(pk)
    if target is None:
        return
    nodes = []
    try:
        driver = open_driver(target_spec(target), Path(settings.SLIPWAY_HOME))
        lines = driver.check()
        nodes = driver.nodes()
    except ToolError as error:
        lines = [CheckLine(gettext_noop("reach"), False, error.message)]
    targets.finish_check(
        target,
        is_reachable=all(line.ok for line in lines),
        lines=[{"name": line.name, "ok": line.ok, "detail": line.detail.to_json()} for line in lines],
        nodes=[asdict(node) for node in nodes],
    )
