"""What a list of models is narrowed to, and what else it could be narrowed to. Plain rules over rows in hand."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

FACETS = ("state", "framework", "task", "running", "owner", "tag")
FILTERS = ("search", *FACETS, "ordering")
MOST = 12
YES, NO = "yes", "no"


@dataclass(frozen=True)
class ModelFilter:
    """What a list of models is narrowed to; empty means anything. ``owner`` is an e-mail address."""

    search: str = ""
    state: str = ""
    framework: str = ""
    task: str = ""
    running: str = ""
    owner: str = ""
    tag: str = ""
    ordering: str = ""

    @property
    def chosen(self) -> dict[str, str]:
        """By facet the value that it is narrowed to."""
        return {name: value for name, value in asdict(self).items() if name in FACETS and value}

    @property
    def is_narrowed(self) -> bool:
        return bool(self.search or self.chosen)

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "ModelFilter":
        """Out of an address."""
        return cls(**{name: query.get(name, "")[:200] for name in FILTERS})


class Traits(NamedTuple):
    """One model as facets see it: by facet its values, usually one."""

    state: tuple[str, ...]
    framework: tuple[str, ...]
    task: tuple[str, ...]
    running: tuple[str, ...]
    owner: tuple[str, ...]
    tag: tuple[str, ...]


@dataclass(frozen=True)
class Facet:
    """One value that a list can be narrowed to, and how many rows that leaves under the other filters."""

    value: str
    count: int
    is_chosen: bool


@dataclass(frozen=True)
class Tally:
    """How many rows fit all filters, the values of each facet, and how many more each filter keeps out."""

    count: int
    facets: dict[str, list[Facet]]
    without: dict[str, int]


def tally(models: Iterable[Traits], wanted: ModelFilter) -> Tally:
    """Count each facet's values under all filters but its own, so that a choice can be changed for another.

    ``without`` says, by chosen facet, how many rows there would be without it: what to take away from an empty list.
    """
    chosen = wanted.chosen
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    fitting, without = 0, Counter[str]()
    for traits in models:
        missed = [name for name, value in chosen.items() if value not in getattr(traits, name)]
        if len(missed) > 1:
            continue
        fitting += not missed
        for name in missed or FACETS:  # one that misses a single filter counts for that facet alone
            counts[name].update(value for value in getattr(traits, name) if value)
        without.update(missed or list(chosen))
    facets = {name: _listed(counts[name], chosen.get(name, "")) for name in FACETS}
    return Tally(fitting, facets, dict(without))


def _listed(counter: Counter[str], chosen: str) -> list[Facet]:
    """The frequent values first, equals from A to Z; the chosen one always among them."""
    ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:MOST]
    if chosen and chosen not in dict(ranked):
        ranked.append((chosen, counter[chosen]))
    return [Facet(value, count, value == chosen) for value, count in ranked]
