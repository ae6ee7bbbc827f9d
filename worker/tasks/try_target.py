"""Look at what may become a target."""

import contextlib

from celery import shared_task

from apps.core import leases
from apps.core.errors import StateConflict
from apps.targets import trials
from apps.targets.services import CHECK_LEASE_SECONDS
from worker.specs import TargetSpec
from worker.tasks.check_target import look


@shared_task(name="slipway.try_target")
def try_target(pk: int) -> None:
    """Write down what a check of these settings saw; nothing else of them is kept."""
    trial = trials.begin_trial(pk)
    if trial is None:
        return
    with leases.kept(trial, seconds=CHECK_LEASE_SECONDS):
        lines, _nodes = look(TargetSpec(str(trial), trial.kind, trial.config, trials.secrets_of(trial)))
    with contextlib.suppress(StateConflict):  # another worker has looked meanwhile
        trials.finish_trial(trial, lines=[line.to_json() for line in lines])
