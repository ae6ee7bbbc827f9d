"""The way of a release to traffic as one timeline: its build's steps, then its deployment's, each with its duration."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.deployments.models import Deployment, Step
from apps.releases.models import Build, Release

TITLES = {
    "lock": _("Lock packages"),
    "environment": _("Install packages"),
    "bundle": _("Pack runtime and model"),
    "golden": _("Compare the golden sample"),
    "packages": _("Lay packages on the base image"),
    "assemble": _("Put the image together"),
    "provenance": _("Sign the provenance"),
    "build": _("Build"),
    "start": _("Start replicas"),
    "healthy": _("Wait until all are healthy"),
    "beside": _("Wait for a share of the traffic"),
    "route": _("Move the traffic"),
    "restart": _("Restart"),
    "drain": _("Drain and stop"),
    "remove": _("Remove"),
}

LOG_LINES = 20  # of a build that runs or has failed


@dataclass(frozen=True)
class Line:
    name: str
    state: str
    seconds: float | None
    at: datetime | None = None
    detail: dict[str, Any] | None = None
    log: str = ""
    titles: dict[str, Any] = field(default_factory=lambda: TITLES, repr=False)

    @property
    def title(self) -> Any:
        return self.titles.get(self.name, self.name)


def timeline(build: Build | None, deployment: Deployment | None) -> list[Line]:
    """What has happened and what is happening, in order; a failed line carries its reason and its log line."""
    lines = _of_build(build) if build else []
    return lines + ([_of_step(step) for step in deployment.steps.all()] if deployment else [])


def is_moving(build: Build | None, deployment: Deployment | None) -> bool:
    """Whether a page should keep looking."""
    if deployment is not None:
        return deployment.phase in {"pending", "starting", "stopping", "degraded"} or (
            deployment.observed_generation != deployment.generation
        )
    if build is None:
        return False
    may_start = build.state == Build.State.DONE and build.release.state == Release.State.APPROVED
    return may_start or build.state in {Build.State.QUEUED, Build.State.RUNNING}


def total_seconds(lines: Sequence[Line]) -> float:
    return sum(line.seconds or 0.0 for line in lines)


def _of_build(build: Build) -> list[Line]:
    if build.state == Build.State.DONE:
        return [Line(step["name"], "done", step["seconds"], build.finished_at, step["detail"]) for step in build.steps]
    seconds = None
    if build.started_at:
        seconds = ((build.finished_at or timezone.now()) - build.started_at).total_seconds()
    newest = "\n".join(build.log.splitlines()[-LOG_LINES:])  # it grows under the reader's eyes
    return [Line("build", build.state, seconds, build.started_at, build.failure, newest)]


def _of_step(step: Step) -> Line:
    seconds = None  # an event takes no time
    if step.finished_at != step.started_at:
        seconds = ((step.finished_at or timezone.now()) - step.started_at).total_seconds()
    return Line(step.name, step.state, seconds, step.started_at, step.detail, step.log)
