"""Keeping the index, and asking it."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from types import ModuleType
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q

from apps.library.index import postgresql, sqlite
from apps.library.index.words import Asked, Document, ask, parts, split
from apps.library.models import MLModel, ModelVersion

LIMIT = 1000  # beyond these nobody reads on: they add a word
MAX_OWNERS = 50
ENGINES: dict[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}


class Found(NamedTuple):
    """A model that was found. They sort best first: by name, then by how well their words fit, then from A to Z."""

    distance: int  # 0: the name itself; 1: its beginning; 2: within it; 3: found elsewhere
    misfit: float
    name: str
    pk: int


def remember(model: MLModel, card: str | None = None) -> None:
    """Write anew what is found of a model; called in the transaction of whatever changes its words.

    The card is that of the newest version that has one, unless it is at hand.
    """
    if card is None:
        cards = ModelVersion.objects.filter(model_id=model.pk).exclude(card="").order_by("-number")
        card = cards.values_list("card", flat=True).first() or ""
    name, tags = split(model.name), split(" ".join([*model.tags, model.task]))
    about = split(model.description, 2000)
    document = Document(name, tags, about, split(card), parts([*name, *tags]), model.created_by_id)
    ENGINES[connection.vendor].write(model.pk, document)


def find(project: int, text: str) -> list[Found]:
    """The models of a project that hold every word, at most ``LIMIT``, the best first; none without a word."""
    asked = ask(text)
    if not asked:
        return []
    _name_owners(asked)
    wanted = "-".join(word for one in asked for word in one.words)
    rows = ENGINES[connection.vendor].find(project, asked, LIMIT)
    return sorted(Found(_distance(name, wanted), -round(score, 3), name, pk) for pk, name, score in rows)


def _distance(name: str, wanted: str) -> int:
    plain = "-".join(split(name))
    return 0 if plain == wanted else 1 if plain.startswith(wanted) else 2 if wanted in plain else 3


def _name_owners(asked: Sequence[Asked]) -> None:
    """Whom each of the texts may name; looked up each time, since people change their names."""
    people = get_user_model().objects
    wanted = reduce(or_, (Q(name__icontains=one.text) | Q(email__icontains=one.text) for one in asked))
    for pk, name, email in people.filter(wanted).values_list("pk", "name", "email")[:MAX_OWNERS]:
        for one in asked:
            if one.text.casefold() in f"{name}\n{email}".casefold():
                one.owners.append(pk)
