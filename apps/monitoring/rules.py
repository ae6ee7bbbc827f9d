"""When an alert begins, fires and ends: a pure function of what was, what is measured and what time it is.

    pending ── true for long enough ──▶ firing ── a person ──▶ acknowledged
       │                                   │                        │
       └── no longer true ──▶ resolved ◀───┴── fine for long enough ┘

No measurement is no answer: it neither fires nor resolves anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

PENDING, FIRING, ACKNOWLEDGED, RESOLVED = "pending", "firing", "acknowledged", "resolved"

#: How long it must be fine again before an alert ends: as long as it took to fire, within these bounds (seconds).
SHORTEST_CALM, LONGEST_CALM = 30, 300


@dataclass(frozen=True)
class Condition:
    """What a rule asks: ``operator`` is ``>`` or ``<``."""

    operator: str
    threshold: float
    for_seconds: int

    def holds(self, value: float) -> bool:
        return value > self.threshold if self.operator == ">" else value < self.threshold

    @property
    def calm_seconds(self) -> int:
        return min(max(self.for_seconds, SHORTEST_CALM), LONGEST_CALM)


@dataclass(frozen=True)
class Standing:
    """Where an alert stands. ``calm_since`` is set while an alert that fired is fine again, but not yet for long."""

    state: str
    since: datetime
    calm_since: datetime | None = None


@dataclass(frozen=True)
class Episode:
    """One time that a rule would have fired; ``ended`` is None when it still would."""

    since: datetime
    fired: datetime
    ended: datetime | None


def judge(condition: Condition, standing: Standing | None, value: float | None, at: datetime) -> Standing | None:
    """The next standing; None when there is no alert. A RESOLVED one is the end of the alert."""
    if value is None:
        return standing
    if condition.holds(value):
        return _raised(condition, standing or Standing(PENDING, at), at)
    return _calmed(condition, standing, at) if standing else None


def _raised(condition: Condition, standing: Standing, at: datetime) -> Standing:
    if standing.state == PENDING and at - standing.since >= timedelta(seconds=condition.for_seconds):
        return replace(standing, state=FIRING)
    return replace(standing, calm_since=None)


def _calmed(condition: Condition, standing: Standing, at: datetime) -> Standing:
    if standing.state == PENDING:
        return replace(standing, state=RESOLVED)
    calm_since = standing.calm_since or at
    if at - calm_since >= timedelta(seconds=condition.calm_seconds):
        return replace(standing, state=RESOLVED, calm_since=calm_since)
    return replace(standing, calm_since=calm_since)


def replay(condition: Condition, values: Iterable[tuple[datetime, float | None]]) -> list[Episode]:
    """Every time the rule would have fired over past values, which are in order of time."""
    episodes: list[Episode] = []
    standing: Standing | None = None
    for at, value in values:
        had_fired = standing is not None and standing.state == FIRING
        standing = judge(condition, standing, value, at)
        if standing is None:
            continue
        if standing.state == FIRING and not had_fired:
            episodes.append(Episode(standing.since, at, None))
        if standing.state == RESOLVED:
            if had_fired:
                episodes[-1] = replace(episodes[-1], ended=at)
            standing = None
    return episodes
