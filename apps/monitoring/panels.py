"""The six charts of an endpoint, made of its tracks: which lines, in which colour, with which marks. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.core.errors import Text
from apps.monitoring.charts import BAD, QUIET, SERIES, WARN, Figure, Line, Mark, Threshold, figure, pick
from apps.monitoring.models import AlertRule
from apps.monitoring.phrases import with_unit
from apps.monitoring.series import Resources, Track
from apps.monitoring.spans import Span

PANEL_OF = {
    "requests": "requests",
    "error_share": "errors",
    "latency_p50": "latency",
    "latency_p90": "latency",
    "latency_p99": "latency",
    "in_flight": "in-flight",
    "cpu": "cpu",
    "memory": "memory",
}
BY_REPLICA = frozenset({"cpu", "memory"})  # what is measured at the replica and not at the gateway
MOST_LINES = 8


@dataclass(frozen=True)
class Panel:
    """One chart with its title and unit. ``figure_id`` is where its JSON is found."""

    key: str
    title: Text
    unit: str
    figure: Figure

    @property
    def is_by_replica(self) -> bool:
        return self.key in BY_REPLICA

    @property
    def figure_id(self) -> str:
        return f"chart-{self.key}-figure"


@dataclass(frozen=True)
class Scene:
    """Everything that the charts of one endpoint show. ``parts`` are the tracks of what it is grouped by; ``past`` is
    the same endpoint earlier, for comparing, called ``past_label``.
    """

    span: Span
    whole: Track
    parts: Mapping[str, Track] = field(default_factory=dict)
    resources: Mapping[str, Resources] = field(default_factory=dict)
    past: Track | None = None
    past_label: Text = ""
    marks: Sequence[Mark] = ()
    rules: Sequence[AlertRule] = ()


def panels(scene: Scene) -> list[Panel]:
    """Requests, error share, latency, in flight, CPU and memory, in the order of a page."""
    is_split = len(scene.parts) > 1
    latency, errors = (_("p99 latency"), _("Errors (5xx)")) if is_split else (_("Latency"), _("Errors"))
    return [
        _panel(scene, "requests", _("Requests"), "req/s", _requests(scene)),
        _panel(scene, "latency", latency, "ms", _latency(scene)),
        _panel(scene, "errors", errors, "%", _errors(scene), most=100),
        _panel(scene, "in-flight", _("In flight"), "", _in_flight(scene)),
        _panel(scene, "cpu", _("CPU"), "%", _resource(scene, lambda one: one.cpu)),
        _panel(scene, "memory", _("Memory"), "MB", _resource(scene, lambda one: one.memory)),
    ]


def threshold_of(rule: AlertRule) -> Threshold:
    return Threshold(rule.threshold, f"{rule.operator} {with_unit(rule.metric, rule.threshold)}", rule.severity)


def _panel(scene: Scene, key: str, title: str, unit: str, lines: list[Line], most: float | None = None) -> Panel:
    thresholds = [threshold_of(rule) for rule in scene.rules if PANEL_OF.get(rule.metric) == key]
    drawn = figure(scene.span, lines, unit=unit, marks=scene.marks, thresholds=thresholds, most=most)
    return Panel(key, title, unit, drawn)


def _requests(scene: Scene) -> list[Line]:
    if len(scene.parts) > 1:
        lines = _split(scene.parts, lambda track: track.rps())
    else:
        lines = [Line(_("requests"), scene.whole.rps(), is_area=True)]
    return [*_past(scene, lambda track: track.rps()), *lines]


def _latency(scene: Scene) -> list[Line]:
    past = _past(scene, lambda track: track.percentile(99))
    if len(scene.parts) > 1:
        return [*past, *_split(scene.parts, lambda track: track.percentile(99))]
    whole = scene.whole
    return [
        *past,
        Line("p50", whole.percentile(50), SERIES[1]),
        Line("p90", whole.percentile(90), SERIES[0]),
        Line("p99", whole.percentile(99), SERIES[2]),
    ]


def _errors(scene: Scene) -> list[Line]:
    past = _past(scene, lambda track: track.share("5xx"))
    if len(scene.parts) > 1:
        return [*past, *_split(scene.parts, lambda track: track.share("5xx"))]
    whole = scene.whole
    lines = [Line(_("failed (5xx)"), whole.share("5xx"), BAD)]
    extra = (
        ("4xx", _("refused (4xx)"), WARN),
        ("429", _("too many (429)"), SERIES[3]),
        ("gone", _("caller left"), QUIET),
    )
    lines += [Line(label, whole.share(kind), colour) for kind, label, colour in extra if whole.whole.counts.get(kind)]
    return [*past, *lines]


def _in_flight(scene: Scene) -> list[Line]:
    past = _past(scene, lambda track: track.in_flight())
    if len(scene.parts) > 1:
        return [*past, *_split(scene.parts, lambda track: track.in_flight())]
    return [*past, Line(_("in flight"), scene.whole.in_flight(), SERIES[3])]


def _resource(scene: Scene, read: Callable[[Resources], Sequence[float | None]]) -> list[Line]:
    shown = list(scene.resources.items())[:MOST_LINES]
    return [Line(name, read(one), pick(index)) for index, (name, one) in enumerate(shown)]


def _split(parts: Mapping[str, Track], read: Callable[[Track], Iterable]) -> list[Line]:
    shown = list(parts.items())[:MOST_LINES]
    return [Line(label, list(read(track)), pick(index)) for index, (label, track) in enumerate(shown)]


def _past(scene: Scene, read: Callable[[Track], Iterable]) -> list[Line]:
    return [Line(scene.past_label, list(read(scene.past)), is_past=True)] if scene.past else []
