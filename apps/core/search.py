"""Search over everything: each app offers a finder for its own things, the frame asks them all.

Finders stand in an app's ``search.py``, which is found by itself. A finder takes the actor, the project and the text,
and returns a few hits that the actor may see, best first::

    def find_models(actor, project, text):
        for model in models(actor, project).filter(name__icontains=text)[:LIMIT]:
            yield Hit(model.name, _("Model"), "box", reverse("library:model", args=[project.slug, model.name]))

    offer(find_models)
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple

from django.utils.functional import Promise

from apps.core.actors import Actor

LIMIT = 6


class Hit(NamedTuple):
    label: str
    kind: str | Promise
    icon: str  # of Lucide
    href: str


Finder = Callable[[Actor, Any, str], Iterable[Hit]]

_finders: list[Finder] = []


def offer(finder: Finder) -> None:
    """Ask this finder, too, from now on."""
    if finder not in _finders:
        _finders.append(finder)


def find(actor: Actor, project: Any, text: str) -> list[Hit]:
    """At most ``LIMIT`` hits of each finder, in the order in which the finders were offered."""
    text = text.strip()
    return [hit for finder in _finders for hit in islice(finder(actor, project, text), LIMIT)] if text else []
