"""Very small charts as SVG path data: a line in a box, no axes, no script. Pure."""

from collections.abc import Sequence

WIDTH, HEIGHT = 120, 28


def line(values: Sequence[float | None]) -> str:
    """The ``d`` of a line through the values, left to right; gaps stay gaps, and zero lies on the floor."""
    highest = max((value for value in values if value is not None), default=0) or 1
    steps = max(1, len(values) - 1)
    parts, pen_is_down = [], False
    for index, value in enumerate(values):
        if value is None:
            pen_is_down = False
            continue
        x, y = WIDTH * index / steps, HEIGHT - 1 - (HEIGHT - 3) * value / highest
        parts.append(f"{'L' if pen_is_down else 'M'}{x:.1f} {y:.1f}")
        pen_is_down = True
    return "".join(parts)


def area(values: Sequence[float | None]) -> str:
    """The same line closed along the floor, for a soft fill; gaps count as zero."""
    along = line([value or 0 for value in values])
    return f"{along}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z" if along else ""
