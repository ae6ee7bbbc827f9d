"""Finds the model card that lies in an archive beside its model."""

from collections.abc import Iterable

from worker.inspection.candidates import Candidate

NAMES = frozenset({"readme.md", "model_card.md", "modelcard.md"})
CARD_BYTES = 1 << 20


def read_card(others: Iterable[Candidate]) -> str:
    """The text of the card nearest to the top; empty without one, and for one that is too long or no UTF-8.

    A card says something about a model and is no part of it, so that none is reason to refuse anything.
    """
    found = [c for c in others if c.name.rpartition("/")[2].casefold() in NAMES and c.size <= CARD_BYTES]
    for candidate in sorted(found, key=lambda c: (c.name.count("/"), c.name)):
        try:
            return candidate.path.read_text("utf-8-sig")
        except ValueError:
            continue
    return ""
