"""Very small charts as SVG path data: a line in a box, no axes, no script. Pure."""

from collections.abc import Sequence

WIDTH, HEIGHT = 120, 28

Values = Sequence[float | None]


def line(values: Values, highest: float = 0) -> str:
    """The ``d`` of a line through the values, left to right. Gaps stay gaps, and a value between two is a dot.

    Zero lies on the floor, and ``highest`` (or the highest value, where it is more) at the top.
    """
    top = max(highest, *(value for value in values if value is not None), 0) or 1
    steps = max(1, len(values) - 1)
    parts, pen_is_down = [], False
    for index, value in enumerate(values):
        if value is None:
            pen_is_down = False
            continue
        x = WIDTH * index / steps
        parts.append(f"{'L' if pen_is_down else 'M'}{x:.1f} {height_of(value, top):.1f}")
        if not pen_is_down and (index + 1 == len(values) or values[index + 1] is None):
            parts.append("h0")
        pen_is_down = True
    return "".join(parts)


def area(values: Values, highest: float = 0) -> str:
    """The same line closed along the floor, for a soft fill; gaps count as zero."""
    along = line([value or 0 for value in values], highest)
    return f"{along}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z" if along else ""


def height_of(value: float, top: float) -> float:
    """Where a value lies, counted from the upper edge."""
    return HEIGHT - 1 - (HEIGHT - 3) * value / top if top else HEIGHT - 1
