"""What happened at an endpoint around some time, from everywhere that knows of it, in one order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.core.errors import Text
from apps.core.messages import say
from apps.deployments.models import Deployment, Step
from apps.deployments.timeline import TITLES
from apps.monitoring.models import Alert
from apps.monitoring.phrases import sentence
from apps.monitoring.spans import Span
from apps.targets.models import Endpoint

MOST = 100  # of each kind
TOLD = frozenset({"deployment.live"})  # entries of what is told without the log


@dataclass(frozen=True)
class Happening:
    """One line: what, when, and where to read on. ``kind`` is step, failed, live, fired, calm or entry."""

    at: datetime
    kind: str
    title: Text
    detail: str = ""
    link: str = ""
    is_inside: bool = False


def happenings(actor: Actor, endpoint: Endpoint, span: Span, around: timedelta) -> list[Happening]:
    """Steps of deployments, releases that went live, alerts and, for who may read it, the log; oldest first."""
    start, end = span.start - around, span.end + around
    found = [*_steps(endpoint, start, end), *_lives(endpoint, start, end), *_alerts(endpoint, start, end)]
    if actor.may("audit.view", endpoint.project):
        found += _entries(endpoint, start, end)
    found = [replace(one, is_inside=span.start <= one.at < span.end) for one in found]
    return sorted(found, key=lambda one: one.at)


def _steps(endpoint: Endpoint, start: datetime, end: datetime) -> Iterator[Happening]:
    """Each at its beginning, and where it failed, at its end."""
    failed = Q(state=Step.State.FAILED, finished_at__gte=start, finished_at__lt=end)
    begun = Q(started_at__gte=start, started_at__lt=end) & ~Q(state=Step.State.FAILED)
    rows = Step.objects.filter(failed | begun, deployment__endpoint=endpoint)
    for row in rows.select_related("deployment__release__version__model")[:MOST]:
        has_failed = row.state == Step.State.FAILED
        title = _("%(version)s: %(step)s") % {
            "version": row.deployment.release.version,
            "step": TITLES.get(row.name, row.name),
        }
        at = row.finished_at or row.started_at if has_failed else row.started_at
        link = _link(endpoint, "deployments:deployment", row.deployment_id)
        yield Happening(at, "failed" if has_failed else "step", title, say(row.detail), link)


def _lives(endpoint: Endpoint, start: datetime, end: datetime) -> Iterator[Happening]:
    rows = Deployment.objects.filter(endpoint=endpoint, live_at__gte=start, live_at__lt=end)
    for row in rows.select_related("release__version__model")[:MOST]:
        assert row.live_at is not None  # as asked for above
        title = _("%(version)s went live") % {"version": row.release.version}
        yield Happening(row.live_at, "live", title, link=_link(endpoint, "releases:release", row.release_id))


def _alerts(endpoint: Endpoint, start: datetime, end: datetime) -> Iterator[Happening]:
    """When an alert fired, was taken up and ended: up to three lines of one alert."""
    columns = ("fired_at", "acknowledged_at", "resolved_at")
    within = Q()
    for column in columns:
        within |= Q(**{f"{column}__gte": start, f"{column}__lt": end})
    rows = Alert.objects.filter(within, rule__endpoint=endpoint, fired_at__isnull=False)
    for row in rows.select_related("rule__endpoint", "acknowledged_by")[:MOST]:
        link = _link(endpoint, "monitoring:alerts") + f"#alert-{row.pk}"
        for column in columns:
            at = getattr(row, column)
            if at is not None and start <= at < end:
                yield Happening(at, "fired" if column == "fired_at" else "calm", *_words(row, column), link)


def _words(alert: Alert, column: str) -> tuple[str, str]:
    names = {"rule": alert.rule.name, "person": alert.acknowledged_by}
    if column == "fired_at":
        return _("“%(rule)s” fired") % names, sentence(alert.rule)
    if column == "acknowledged_at":
        return _("%(person)s acknowledged “%(rule)s”") % names, alert.note
    return _("“%(rule)s” was resolved") % names, ""


def _entries(endpoint: Endpoint, start: datetime, end: datetime) -> Iterator[Happening]:
    """The log of the endpoint, its deployments and its releases."""
    things = {
        "endpoint": [endpoint.pk],
        "deployment": endpoint.deployments.values_list("pk", flat=True),
        "release": endpoint.releases.values_list("pk", flat=True),
    }
    of_these = Q()
    for thing, ids in things.items():
        of_these |= Q(object_type=thing, object_id__in=[str(pk) for pk in ids])
    rows = Entry.objects.filter(of_these, project=endpoint.project_id, at__gte=start, at__lt=end)
    for row in rows.exclude(action__in=TOLD).order_by("seq")[:MOST]:
        title = _("%(person)s: %(action)s") % {"person": row.actor_label, "action": row.action}
        link = _link(endpoint, "audit:entries") + f"?thing={row.object_type}&object_id={row.object_id}"
        yield Happening(row.at, "entry", title, row.reason or row.object_label, link)


def _link(endpoint: Endpoint, name: str, *args: Any) -> str:
    return reverse(name, args=[endpoint.project.slug, *args])
