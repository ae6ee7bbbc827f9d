"""Stretches of time as pages and the API name them, cut into steps. Pure.

A span in the address is ``range=1h`` (up to now) or ``from=…&to=…`` (RFC 3339). Steps start on whole multiples of their
length since the epoch, so that a live chart moves on without its past being cut anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import Invalid, Text

#: What a gateway measured is here at the latest so many seconds after its window closed.
LAG_SECONDS = 8
FINEST = 10
STEPS = (10, 30, 60, 300, 900, 3600, 4 * 3600, 86400)
MOST_STEPS = 1000
STEPS_OF_A_PAGE = 400
LONGEST = timedelta(days=366)

PRESETS: dict[str, tuple[int, Text]] = {
    "15m": (900, gettext_lazy("15 minutes")),
    "1h": (3600, gettext_lazy("1 hour")),
    "6h": (6 * 3600, gettext_lazy("6 hours")),
    "24h": (86400, gettext_lazy("24 hours")),
    "7d": (7 * 86400, gettext_lazy("7 days")),
    "30d": (30 * 86400, gettext_lazy("30 days")),
}
DEFAULT = "1h"


@dataclass(frozen=True)
class Span:
    """From ``start`` (a whole step) up to ``end``, in steps of ``step`` seconds, the last one perhaps cut short."""

    start: datetime
    end: datetime
    step: int
    preset: str = ""

    @cached_property
    def starts(self) -> list[datetime]:
        return [self.start + timedelta(seconds=self.step * index) for index in range(len(self))]

    def __len__(self) -> int:
        return max(1, -(-int((self.end - self.start).total_seconds()) // self.step))

    def index(self, at: datetime) -> int | None:
        """The step that ``at`` falls into; None outside."""
        index = int((at - self.start).total_seconds() // self.step)
        return index if 0 <= index < len(self) else None

    def seconds_in(self, index: int) -> float:
        """The length of one step: shorter for the last one of a span that ends now."""
        return min(self.step, (self.end - self.starts[index]).total_seconds()) or self.step

    @property
    def is_live(self) -> bool:
        return bool(self.preset)

    @property
    def query(self) -> str:
        """The span as it stands in an address."""
        return f"range={self.preset}" if self.preset else self.own_query

    @property
    def own_query(self) -> str:
        """The same stretch as it stands in an address when time has moved on."""
        return f"from={self.start:%Y-%m-%dT%H:%M:%SZ}&to={self.end:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def filled(self) -> "Span":
        """The same span with its last step as long as all others."""
        return replace(self, end=self.start + timedelta(seconds=self.step * len(self)))

    def earlier(self, seconds: int) -> "Span":
        """The same span so many seconds ago."""
        back = timedelta(seconds=seconds)
        return replace(self, start=self.start - back, end=self.end - back, preset="")


def last(seconds: int, now: datetime, *, step: int | None = None, preset: str = "") -> Span:
    """The last ``seconds`` up to where all measurements are in."""
    end = settled(now)
    return between(end - timedelta(seconds=seconds), end, step=step, preset=preset)


def between(start: datetime, end: datetime, *, step: int | None = None, preset: str = "") -> Span:
    """A span with this step, or else with the finest that suits a page."""
    step = step or finest_step((end - start).total_seconds(), STEPS_OF_A_PAGE)
    return Span(floor(start, step), end, step, preset)


def finest_step(seconds: float, most: int) -> int:
    """The finest step that cuts so many seconds into at most ``most`` parts."""
    return next((step for step in STEPS if seconds / step <= most), STEPS[-1])


def settled(now: datetime) -> datetime:
    """The end of the last window of which everything is in."""
    return floor(now - timedelta(seconds=LAG_SECONDS), FINEST)


def floor(at: datetime, step: int) -> datetime:
    """The start of the step that ``at`` falls into."""
    return datetime.fromtimestamp(at.timestamp() // step * step, UTC)


def from_query(query: Mapping[str, str], now: datetime) -> Span:
    """The span that a page's address names; the last hour when it names none. Invalid for what cannot be."""
    if query.get("from") or query.get("to"):
        start, end = bounds(query, now)
        return between(start, end)
    preset = query.get("range", DEFAULT)
    if preset not in PRESETS:
        raise Invalid(
            _("There is no time range “%(range)s”.") % {"range": preset[:40]},
            advice=_("Use one of %(ranges)s, or from and to.") % {"ranges": ", ".join(PRESETS)},
        )
    return last(PRESETS[preset][0], now, preset=preset)


def bounds(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """``from`` and ``to`` of a query; the last hour up to ``to``, and up to now, where they are missing."""
    end = parse_moment(query["to"], "to") if query.get("to") else settled(now)
    start = parse_moment(query["from"], "from") if query.get("from") else end - timedelta(hours=1)
    if end <= start:
        raise Invalid(_("The time range ends before it begins."), errors={"to": [_("Must be later than “from”.")]})
    if end - start > LONGEST:
        raise Invalid(
            _("The time range is longer than a year."),
            advice=_("Nothing is kept for longer; choose a shorter one."),
            errors={"from": [_("At most a year before “to”.")]},
        )
    return start, end


def parse_moment(text: str, name: str) -> datetime:
    """A time in RFC 3339; one without an offset is UTC. ``name`` is the field that an error speaks of."""
    try:
        at = parse_datetime(text.replace(" ", "+"))  # an unescaped plus arrives as a space
    except ValueError:
        at = None
    if at is None:
        raise Invalid(
            _("“%(text)s” is not a time.") % {"text": text[:40]},
            advice=_("Write it like 2026-05-01T12:00:00Z."),
            errors={name: [_("Not a time in RFC 3339.")]},
        )
    return at if at.tzinfo else at.replace(tzinfo=UTC)
