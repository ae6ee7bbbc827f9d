"""Figures and small charts, as data."""

import json
from datetime import UTC, datetime, timedelta

from apps.monitoring import sparklines
from apps.monitoring.charts import Line, Mark, Stretch, Threshold, figure
from apps.monitoring.spans import Span

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SPAN = Span(START, START + timedelta(minutes=5), 60, "1h")


def test_a_gap_stays_a_gap_and_times_are_utc() -> None:
    drawn = figure(SPAN, [Line("p99", [1, 2, None, 4, 5.00004])], unit="ms")
    trace = drawn["data"][0]
    assert trace["y"] == [1, 2, None, 4, 5]
    assert trace["x"][0] == "2026-05-01T12:00:00Z"
    assert trace["connectgaps"] is False
    assert "ms" in trace["hovertemplate"]


def test_zoom_survives_a_refresh_but_not_another_range() -> None:
    first, again = figure(SPAN, []), figure(SPAN, [])
    longer = figure(Span(START, SPAN.end, 60, "6h"), [])
    assert first["layout"]["uirevision"] == again["layout"]["uirevision"] != longer["layout"]["uirevision"]


def test_what_went_live_in_the_span_is_marked_with_its_name() -> None:
    marks = [Mark(START + timedelta(minutes=2), "v3"), Mark(START - timedelta(minutes=2), "v2")]
    layout = figure(SPAN, [], marks=marks)["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["v3"]
    assert layout["shapes"][0]["x0"] == layout["shapes"][0]["x1"] == "2026-05-01T12:02:00Z"


def test_a_threshold_is_a_line_in_the_colour_of_its_severity() -> None:
    layout = figure(SPAN, [], thresholds=[Threshold(150, "> 150 ms", "critical")])["layout"]
    assert (layout["shapes"][0]["y0"], layout["shapes"][0]["line"]["color"]) == (150, "var(--sl-bad)")
    assert layout["annotations"][0]["text"] == "> 150 ms"


def test_a_threshold_far_above_everything_is_not_drawn() -> None:
    lines = [Line("p99", [9, 10])]
    far, near = Threshold(200, "far"), Threshold(40, "near")
    assert [note["text"] for note in figure(SPAN, lines, thresholds=[far, near])["layout"]["annotations"]] == ["near"]


def test_a_stretch_without_an_end_reaches_the_right_edge() -> None:
    shape = figure(SPAN, [], stretches=[Stretch(START - timedelta(hours=1), None)])["layout"]["shapes"][0]
    assert (shape["x0"], shape["x1"]) == ("2026-05-01T12:00:00Z", "2026-05-01T12:05:00Z")


def test_a_lone_value_between_gaps_is_drawn_as_a_dot() -> None:
    assert figure(SPAN, [Line("p99", [None, 3, None])])["data"][0]["mode"] == "lines+markers"
    assert figure(SPAN, [Line("p99", [1, 3, None])])["data"][0]["mode"] == "lines"


def test_colours_are_names_that_the_browser_looks_up() -> None:
    text = json.dumps(figure(SPAN, [Line("a", [1]), Line("b", [2], is_past=True, is_area=True)]))
    assert "var(--sl-" in text
    assert '"#' not in text


def test_a_share_never_reaches_over_a_hundred_percent() -> None:
    drawn = figure(SPAN, [Line("5xx", [100.0, 50.0])], unit="%", most=100)
    assert drawn["layout"]["yaxis"]["range"] == [0, 100]


def test_a_small_chart_lifts_its_pen_over_gaps() -> None:
    assert sparklines.line([0, 10, None, 10]) == "M0.0 27.0L40.0 2.0M120.0 2.0h0"
    assert sparklines.line([None, None]) == ""
    assert sparklines.area([1, 1]).endswith("L120 28L0 28Z")
