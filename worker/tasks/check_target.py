"""Look at a target: does it answer, what has it, what is wrong."""

from dataclasses import asdict, replace
from pathlib import Path

from celery import shared_task
from django.conf import settings

from apps.core import leases
from apps.targets import services as targets
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.specs import CheckLine, Node, TargetSpec, gettext_noop
from worker.tasks.images import image_to_look_with
from worker.tasks.reconcile import target_spec


@shared_task(name="slipway.check_target")
def check_target(pk: int) -> None:
    """Write down what a check of the target saw, line by line; one that does not answer is a line too."""
    target = targets.begin_check(pk)
    if target is None:
        return
    with leases.kept(target, seconds=targets.CHECK_LEASE_SECONDS):  # a first look may have to wait for an image
        lines, nodes = look(target_spec(target))
    targets.finish_check(
        target,
        is_reachable=all(line.ok for line in lines),
        lines=[line.to_json() for line in lines],
        nodes=[asdict(node) for node in nodes],
    )


def look(spec: TargetSpec) -> tuple[list[CheckLine], list[Node]]:
    """What the driver's check says, and the machines it saw."""
    try:
        driver = open_driver(replace(spec, eyes=image_to_look_with()), Path(settings.SLIPWAY_HOME))
        return driver.check(), driver.nodes()
    except ToolError as error:
        return [CheckLine(gettext_noop("reach"), False, error.message)], []
