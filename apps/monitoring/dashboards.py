"""What the monitoring page and an endpoint's charts show: read here, drawn by ``panels`` and ``sparklines``."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import Invalid, Text
from apps.deployments.models import Deployment
from apps.monitoring.models import AlertRule
from apps.monitoring.panels import Panel, Scene, panels
from apps.monitoring.phrases import with_unit
from apps.monitoring.selectors import marks, ran_in
from apps.monitoring.series import (
    Resources,
    Track,
    by_both,
    by_deployment,
    by_endpoint,
    fitted,
    read_resources,
    read_tracks,
)
from apps.monitoring.spans import Span, between, finest_step
from apps.monitoring.sparklines import area, line
from apps.targets.models import Endpoint

GROUPS: dict[str, Text] = {
    "endpoint": gettext_lazy("Endpoint"),
    "release": gettext_lazy("Release"),
    "replica": gettext_lazy("Replica"),
}
PASTS: dict[str, tuple[int, Text]] = {
    "day": (86400, gettext_lazy("yesterday")),
    "week": (7 * 86400, gettext_lazy("last week")),
}
STEPS_OF_A_MULTIPLE = 60  # so that an hour is read by the minute, and a day by the hour

Tracks = Mapping[tuple[int, int | None], Track]


@dataclass(frozen=True)
class Wish:
    """What a page's address asks for, beside the span. Replicas come and go, so they are not compared."""

    group: str = "endpoint"
    past: str = ""

    @property
    def can_compare(self) -> bool:
        return self.group != "replica"

    @property
    def query(self) -> str:
        parts = [f"by={self.group}" if self.group != "endpoint" else "", f"compare={self.past}" if self.past else ""]
        return "&".join(filter(None, parts))


@dataclass(frozen=True)
class Multiple:
    """One small chart: SVG path data, the newest value in words, and which big chart it opens into."""

    key: str
    label: Text
    value: str
    line: str
    area: str
    past: str
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """The small charts of one endpoint, release or replica."""

    endpoint: Endpoint
    label: str
    multiples: list[Multiple]


def wish_of(query: Mapping[str, str]) -> Wish:
    """What to group by and to compare with; Invalid for another word."""
    group, past = query.get("by", "endpoint"), query.get("compare", "")
    if group not in GROUPS or (past and past not in PASTS):
        raise Invalid(
            _("Charts can't be grouped or compared like this."),
            advice=_("Group by %(groups)s; compare with %(pasts)s.")
            % {"groups": ", ".join(GROUPS), "pasts": ", ".join(PASTS)},
        )
    return Wish(group, past if group != "replica" else "")


def endpoint_panels(endpoint: Endpoint, span: Span, wish: Wish) -> list[Panel]:
    """The big charts of one endpoint, with deployments and alert thresholds drawn in."""
    span = fitted(span)
    deployments = _deployments([endpoint], span)
    keys = by_both if wish.group == "release" else by_endpoint
    tracks = read_tracks([endpoint.pk], span, keys)
    names = _names(deployments)
    past = PASTS.get(wish.past)
    drawn = panels(
        Scene(
            span=span,
            whole=tracks.get(endpoint.pk, _nothing(span)),
            parts=_parts(endpoint, names, tracks) if wish.group == "release" else {},
            resources=_named(read_resources(list(deployments), span), names),
            past=_past_track(endpoint, span, past[0]) if past else None,
            past_label=past[1] if past else "",
            marks=marks([endpoint], span).get(endpoint.pk, []),
            rules=list(AlertRule.objects.filter(endpoint=endpoint, is_enabled=True)),
        )
    )
    return [panel for panel in drawn if panel.is_by_replica] if wish.group == "replica" else drawn


def multiples(endpoints: Sequence[Endpoint], span: Span, wish: Wish) -> list[Row]:
    """A row of small charts for every endpoint, release or replica, in the order of the endpoints."""
    span = _coarser(fitted(span))
    if wish.group == "replica":
        return _replica_rows(endpoints, span)
    keys = by_deployment if wish.group == "release" else by_endpoint
    ids = [endpoint.pk for endpoint in endpoints]
    tracks = read_tracks(ids, span, keys, wanted=(99,))
    past = read_tracks(ids, span.earlier(PASTS[wish.past][0]), keys, wanted=(99,)) if wish.past else {}
    if wish.group == "release":
        return _release_rows(endpoints, span, tracks, past)
    nothing = _nothing(span)
    return [Row(one, one.name, _traffic(tracks.get(one.pk, nothing), past.get(one.pk))) for one in endpoints]


def _release_rows(endpoints: Sequence[Endpoint], span: Span, tracks: Tracks, past: Tracks) -> list[Row]:
    """A release is compared with itself: one that is younger than the past has none."""
    names = _names(_deployments(endpoints, span))
    rows = []
    for endpoint in endpoints:
        own = sorted((pk for key, pk in tracks if key == endpoint.pk and pk), reverse=True)
        for pk in own:
            key = endpoint.pk, pk
            rows.append(Row(endpoint, _name(names, pk), _traffic(tracks[key], past.get(key))))
    return rows


def _replica_rows(endpoints: Sequence[Endpoint], span: Span) -> list[Row]:
    deployments = _deployments(endpoints, span)
    by_id = {endpoint.pk: endpoint for endpoint in endpoints}
    found = read_resources(list(deployments), span)
    names = _names(deployments)
    rows = [
        Row(by_id[deployments[one.deployment].endpoint_id], label, _resources(one))
        for name, one in found.items()
        for label in _named({name: one}, names)
    ]
    return sorted(rows, key=lambda row: (row.endpoint.name, row.label))


def _traffic(track: Track, past: Track | None) -> list[Multiple]:
    share = track.whole.error_share
    tone = "bad" if share and share >= 1 else ""
    return [
        _multiple("requests", _("Requests"), "requests", track.rps(), past.rps() if past else None),
        _multiple(
            "latency", _("p99 latency"), "latency_p99", track.percentile(99), past.percentile(99) if past else None
        ),
        _multiple("errors", _("Errors"), "error_share", track.share("5xx"), past.share("5xx") if past else None, tone),
        _multiple("in-flight", _("In flight"), "in_flight", track.in_flight(), past.in_flight() if past else None),
    ]


def _resources(one: Resources) -> list[Multiple]:
    return [
        _multiple("cpu", _("CPU"), "cpu", one.cpu, None),
        _multiple("memory", _("Memory"), "memory", one.memory, None),
    ]


def _multiple(
    key: str,
    label: str,
    metric: str,
    values: Sequence[float | None],
    past: Sequence[float | None] | None,
    tone: str = "",
) -> Multiple:
    """Both lines share one scale, so that higher is more in both."""
    newest = next((value for value in reversed(values) if value is not None), None)
    highest = max((value for value in [*values, *(past or [])] if value is not None), default=0)
    return Multiple(
        key=key,
        label=label,
        value=with_unit(metric, newest),
        line=line(values, highest),
        area=area(values, highest),
        past=line(past, highest) if past else "",
        tone=tone,
    )


def _parts(endpoint: Endpoint, names: Mapping[int, str], tracks: Mapping[Any, Track]) -> dict[str, Track]:
    """A track by release, the newest first; calls that no release could take are only in the whole."""
    known = sorted((key[1] for key in tracks if isinstance(key, tuple) and key[1]), reverse=True)
    return {_name(names, pk): tracks[endpoint.pk, pk] for pk in known}


def _past_track(endpoint: Endpoint, span: Span, seconds: int) -> Track | None:
    """The same span so long ago, with its last step full; None where nothing happened in it."""
    return read_tracks([endpoint.pk], span.earlier(seconds).filled).get(endpoint.pk)


def _deployments(endpoints: Iterable[Endpoint], span: Span) -> dict[int, Deployment]:
    """Those that ran in the span, newest first."""
    return {row.pk: row for row in ran_in(endpoints, span)}


def _named(found: Mapping[str, Resources], names: Mapping[int, str]) -> dict[str, Resources]:
    """Replicas by a name that people know: the version and the number of the replica."""
    return {f"{_name(names, one.deployment)} · {name.rsplit('-', 1)[-1]}": one for name, one in found.items()}


def _names(deployments: Mapping[int, Deployment]) -> dict[int, str]:
    """Each deployment by its version alone, unless the endpoint ran that version more than once in this time."""
    versions = {pk: one.release.version.number for pk, one in deployments.items()}
    times = Counter((one.endpoint_id, versions[pk]) for pk, one in deployments.items())
    return {
        pk: f"v{versions[pk]}"
        if times[one.endpoint_id, versions[pk]] == 1
        else _("v%(version)s (deployment %(pk)s)") % {"version": versions[pk], "pk": pk}
        for pk, one in deployments.items()
    }


def _name(names: Mapping[int, str], pk: int) -> str:
    return names.get(pk) or _("deployment %(pk)s") % {"pk": pk}


def _nothing(span: Span) -> Track:
    return Track([None] * len(span))


def _coarser(span: Span) -> Span:
    """Small charts have few pixels: a coarser step shows the same, and reads faster."""
    step = max(span.step, finest_step((span.end - span.start).total_seconds(), STEPS_OF_A_MULTIPLE))
    return between(span.start, span.end, step=step, preset=span.preset)
