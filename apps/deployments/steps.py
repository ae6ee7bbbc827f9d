"""The timed lines of a deployment's timeline, written by whoever reconciles it."""

from typing import Any

from django.utils import timezone

from apps.deployments.models import Deployment, Step

Message = dict[str, Any]


def open_step(deployment: Deployment, name: str, detail: Message | None = None) -> None:
    """Begin a timed line of the timeline; one that is open already stays as it is."""
    if not Step.objects.filter(deployment=deployment, name=name, finished_at__isnull=True).exists():
        Step.objects.create(deployment=deployment, name=name, detail=detail, started_at=timezone.now())


def close_step(
    deployment: Deployment, name: str, *, state: str = "done", detail: Message | None = None, log: str = ""
) -> None:
    """End the open line of that name, if there is one."""
    facts: dict[str, Any] = {"state": state, "finished_at": timezone.now(), "log": log}
    if detail:
        facts["detail"] = detail
    Step.objects.filter(deployment=deployment, name=name, finished_at__isnull=True).update(**facts)


def note_event(deployment: Deployment, name: str, detail: Message, log: str = "") -> None:
    """A line of the timeline that took no time, e.g. that a replica was started again."""
    now = timezone.now()
    Step.objects.create(
        deployment=deployment, name=name, state="done", detail=detail, log=log, started_at=now, finished_at=now
    )
