"""Plotly figures as plain dicts: values in, figure out. Pure.

Colours are named, not chosen: ``var(--sl-…)`` is looked up in the browser, so that one figure suits both themes. Times
are UTC and drawn in the reader's own zone. ``uirevision`` is the span: zoom survives a refresh, not another range.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import Text
from apps.monitoring.spans import Span

SERIES = tuple(f"var(--sl-series-{number})" for number in range(1, 7))
BAD, WARN, INFO, QUIET, MARK = "var(--sl-bad)", "var(--sl-warn)", "var(--sl-busy)", "var(--sl-ink-3)", "var(--sl-ink-2)"
SEVERITY_COLOURS = {"info": INFO, "warning": WARN, "critical": BAD}

#: A threshold this many times above everything measured isn't drawn: it would press the lines flat.
FAR = 4

#: The share of the time axis that the label of a mark takes.
MARK_ROOM = 0.05

Values = Sequence[float | None]
Figure = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of a chart. ``is_past`` draws it quietly, for comparing; ``is_area`` fills it down to zero."""

    label: Text
    values: Values
    colour: str = SERIES[0]
    is_past: bool = False
    is_area: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened, as a line across the time axis: a deployment that went live."""

    at: datetime
    label: str


@dataclass(frozen=True)
class Threshold:
    """What an alert rule watches for, as a line across the values."""

    value: float
    label: str
    severity: str = "warning"


@dataclass(frozen=True)
class Stretch:
    """A stretch of time to shade: an alert that fired, or would have. No end: until the right edge."""

    start: datetime
    end: datetime | None


def figure(
    span: Span,
    lines: Sequence[Line],
    *,
    unit: str = "",
    marks: Iterable[Mark] = (),
    thresholds: Iterable[Threshold] = (),
    stretches: Iterable[Stretch] = (),
    most: float | None = None,
) -> Figure:
    """A time chart of the span. Gaps (None) stay gaps. ``most`` is the highest value the axis may show, e.g. 100 %."""
    marks = [mark for mark in marks if span.start <= mark.at < span.end]
    highest = max((value for line in lines for value in line.values if value is not None), default=0)
    thresholds = [one for one in thresholds if not highest or one.value <= FAR * highest]
    times = [moment(at) for at in span.starts]
    return {
        "data": [_trace(line, times, unit) for line in lines],
        "layout": {
            "uirevision": span.query,
            "meta": {"step": span.step},
            "showlegend": len(lines) > 1,
            "hovermode": "x unified",
            "margin": {"l": 44, "r": 12, "t": 20 if marks else 8, "b": 24},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
            "xaxis": {
                "type": "date",
                **_range_of_time(span, is_drawn=bool(lines)),
                "showgrid": False,
                "nticks": 6,
                "tickangle": 0,
                "hoverformat": _("%d %b %H:%M") if span.step >= 3600 else "%H:%M:%S",
            },
            "yaxis": _value_axis(highest, unit, most),
            "shapes": [
                *(shape for stretch in stretches for shape in _shade(stretch, span)),
                *(_mark_line(mark) for mark in marks),
                *(_threshold_line(threshold) for threshold in thresholds),
            ],
            "annotations": [
                *(_mark_label(mark) for mark in _apart(marks, span)),
                *(_threshold_label(threshold) for threshold in thresholds),
            ],
        },
    }


def _range_of_time(span: Span, *, is_drawn: bool) -> Figure:
    """The whole span, alike in every chart. Plotly forgets a zoom when a given range moves, so it finds it itself."""
    ends = [moment(span.start), moment(span.end)]
    if not is_drawn:
        return {"range": ends}
    return {"autorangeoptions": {"include": ends, "clipmin": ends[0], "clipmax": ends[1]}}


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pick(index: int) -> str:
    """The colour of the n-th series; after the last one they begin again."""
    return SERIES[index % len(SERIES)]


def _trace(line: Line, times: list[str], unit: str) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "name": str(line.label),
        "x": times,
        "y": [_rounded(value) for value in line.values],
        "connectgaps": False,
        "line": {"color": line.colour, "width": 1.75},
        "hovertemplate": f"%{{y:,.4~g}} {unit}".rstrip() + "<extra>%{fullData.name}</extra>",
    }
    if lone := _lone_points(line.values):  # a value between two gaps makes no line, and would not be seen
        sizes = [4 if index in lone else 0 for index in range(len(line.values))]
        trace |= {"mode": "lines+markers", "marker": {"size": sizes, "color": line.colour}}
    if line.is_past:
        trace |= {"line": {"color": QUIET, "width": 1.25, "dash": "dot"}, "mode": "lines"}
    if line.is_area:
        trace |= {"fill": "tozeroy", "fillcolor": "var(--sl-accent-soft)"}
    return trace


def _value_axis(highest: float, unit: str, most: float | None) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "rangemode": "tozero",
        "nticks": 5,
        "fixedrange": True,
        "ticksuffix": "",
        "tickformat": "~s",
    }
    if most is not None:
        axis["range"] = [0, min(most, max(highest * 1.15, most / 20))]
    elif highest == 0:
        axis["range"] = [0, 1]
    if unit == "%":
        axis |= {"ticksuffix": "%", "tickformat": "~g"}
    elif not unit and highest <= 5:  # what has no unit is counted
        axis["dtick"] = 1
    return axis


def _apart(marks: Sequence[Mark], span: Span) -> list[Mark]:
    """The marks whose labels have room beside the next one's; of those that crowd, the latest speaks."""
    room = (span.end - span.start) * MARK_ROOM
    ordered = sorted(marks, key=lambda mark: mark.at)
    following = [mark.at for mark in ordered[1:]]
    return [mark for mark, after in zip_longest(ordered, following) if after is None or after - mark.at >= room]


def _mark_line(mark: Mark) -> dict[str, Any]:
    at = moment(mark.at)
    return _shape("line", at, at, line={"color": MARK, "width": 1, "dash": "dot"})


def _mark_label(mark: Mark) -> dict[str, Any]:
    return {
        "x": moment(mark.at),
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": "auto",
        "text": mark.label,
        "showarrow": False,
        "font": {"size": 11, "color": MARK},
    }


def _threshold_line(threshold: Threshold) -> dict[str, Any]:
    colour = SEVERITY_COLOURS.get(threshold.severity, WARN)
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": threshold.value,
        "y1": threshold.value,
        "line": {"color": colour, "width": 1, "dash": "dash"},
    }


def _threshold_label(threshold: Threshold) -> dict[str, Any]:
    return {
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "y": threshold.value,
        "yanchor": "bottom",
        "text": threshold.label,
        "showarrow": False,
        "font": {"size": 11, "color": SEVERITY_COLOURS.get(threshold.severity, WARN)},
    }


def _shade(stretch: Stretch, span: Span) -> list[dict[str, Any]]:
    """A soft field, and the line at which it begins: the shortest stretch is narrower than a pixel."""
    start, end = moment(max(stretch.start, span.start)), moment(stretch.end or span.end)
    field = _shape("rect", start, end, fillcolor=BAD, opacity=0.18, line={"width": 0}, layer="below")
    return [field, _shape("line", start, start, line={"color": BAD, "width": 1.5})]


def _shape(kind: str, x0: str, x1: str, **style: Any) -> dict[str, Any]:
    return {"type": kind, "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1, **style}


def _lone_points(values: Values) -> set[int]:
    padded = [None, *values, None]
    return {
        index
        for index, here in enumerate(values)
        if here is not None and padded[index] is None and padded[index + 2] is None
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
