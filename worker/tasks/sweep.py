"""The sweep: find every row that is due and ring for it; run what comes round with the clock.

It alone is enough: an emptied broker loses nothing. Without a broker it runs in a thread of the one worker process and
hands every job to that process's own pool; with one, beat rings it and it only repeats what may have been lost.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from celery import current_app, shared_task
from celery.signals import task_postrun, worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from apps.accounts.services import disable_unused_keys
from apps.audit.services import sign_head, verify_chain
from apps.core.jobs import Job, ring
from apps.core.leases import Leased, due, find_due, forfeit
from apps.deployments.models import Deployment
from apps.library.models import ModelVersion
from apps.library.services import collect_unreferenced, expire_uploads
from apps.monitoring.models import Delivery
from apps.releases.models import Build
from apps.releases.services import expire_releases
from apps.targets.models import Target, Trial
from apps.targets.services import equip
from worker.tasks.collect import collect, roll_up
from worker.tasks.evaluate import evaluate
from worker.tasks.logs import collect_logs
from worker.tasks.orphans import clear_orphans
from worker.tasks.starts import start_due
from worker.tasks.tidying import tidy_targets

log = structlog.get_logger(__name__)

ROWS: dict[Job, type[Leased]] = {
    Job.EXAMINE: ModelVersion,
    Job.BUILD: Build,
    Job.RECONCILE: Deployment,
    Job.CHECK_TARGET: Target,
    Job.TRY_TARGET: Trial,
    Job.DELIVER: Delivery,
}
AT_ONCE = 100
RUNG_AT_ONCE = 1000
_last_rounds: dict[str, float] = {}


def prune() -> None:
    """Bytes, and what lies on hosts, that nothing refers to any more."""
    collect_unreferenced()
    tidy_targets()


# What each round of ``settings.SLIPWAY_ROUNDS`` does. Everything here may run twice at once without harm.
ROUNDS: dict[str, Callable[[], Any]] = {
    "equip": equip,
    "start_due": start_due,
    "collect": collect,
    "collect_logs": collect_logs,
    "evaluate": evaluate,
    "roll_up": roll_up,
    "clear_orphans": clear_orphans,
    "expire_releases": expire_releases,
    "expire_uploads": expire_uploads,
    "disable_keys": disable_unused_keys,
    "prune": prune,
    "sign_audit": sign_head,
    "verify_audit": verify_chain,
}


@shared_task(name="slipway.round")
def run_round(name: str) -> None:
    """One round of one thing; an error is logged, and the next round tries again.

    Rounds that piled up while nobody answered are one round.
    """
    now = time.monotonic()
    if now - _last_rounds.get(name, -math.inf) < settings.SLIPWAY_ROUNDS[name] / 2:
        return
    _last_rounds[name] = now
    structlog.contextvars.bind_contextvars(round=name)
    try:
        ROUNDS[name]()
    except Exception:
        log.exception("round_failed")


@shared_task(name="slipway.sweep")
def sweep(*only: Job) -> None:
    """Ring for all that is due, or for the rows of some jobs (for beat, with a broker)."""
    for job, model in ROWS.items():
        for pk in find_due(model, RUNG_AT_ONCE) if job in (only or ROWS) else ():
            ring(job, pk)


def due_jobs() -> Iterator[tuple[Job, int]]:
    for job, model in ROWS.items():
        for pk in due(model).order_by("due_at").values_list("pk", flat=True)[:AT_ONCE]:
            yield job, pk


class Sweeper(threading.Thread):
    """The embedded mode's clock: rings within this process, never for what is in the pool already."""

    def __init__(self) -> None:
        super().__init__(name="sweep", daemon=True)
        self.stopping = threading.Event()
        self.in_pool: set[tuple[str, Any]] = set()
        self.next_round = dict.fromkeys(ROUNDS, 0.0)

    def run(self) -> None:
        while not self.stopping.wait(settings.SLIPWAY_SWEEP_SECONDS):
            close_old_connections()
            try:
                self.look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("sweep_failed", error=str(error))
        connection.close()

    def look(self) -> None:
        now = time.monotonic()
        for name, seconds in settings.SLIPWAY_ROUNDS.items():
            if now >= self.next_round[name]:
                self.next_round[name] = now + seconds
                self.send("slipway.round", name)
        for job, pk in due_jobs():
            self.send(f"slipway.{job}", pk)

    def send(self, task: str, arg: Any) -> None:
        if (task, arg) not in self.in_pool:
            self.in_pool.add((task, arg))
            current_app.send_task(task, args=[arg])

    def forget(self, task: Any = None, args: Any = None, **_: Any) -> None:
        """A task has ended (well or not): it may be rung for again."""
        if args:
            self.in_pool.discard((task.name, args[0]))


@worker_ready.connect
def start_sweeper(**_: Any) -> None:
    if not settings.SLIPWAY_EMBEDDED:
        return
    for model in ROWS.values():
        forfeit(model)
    sweeper = Sweeper()
    task_postrun.connect(sweeper.forget, weak=False)
    worker_shutting_down.connect(lambda **_: sweeper.stopping.set(), weak=False)
    sweeper.start()
