"""What the search over everything finds here."""

import re
from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.library.models import ModelVersion
from apps.library.selectors import ModelFilter, list_models

_NUMBERED = re.compile(r"(?P<model>\S+)\s+v?(?P<number>\d{1,6})")


def find_models(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    if not actor.may("model.view", project):
        return
    for model in list_models(actor, project, ModelFilter(search=text))[:LIMIT]:
        yield Hit(model.name, _("Model"), "box", reverse("library:model", args=[project.slug, model.name]))


def find_versions(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """By “digits v3”, or by the beginning of a digest."""
    if not actor.may("model.view", project):
        return
    rows = ModelVersion.objects.visible_to(actor).filter(model__project=project).select_related("model")
    if found := _NUMBERED.fullmatch(text):
        rows = rows.filter(model__name__startswith=found["model"], number=int(found["number"]))
    elif len(text) >= 6 and not set(text) - set("0123456789abcdef"):
        rows = rows.filter(digest__startswith=text)
    else:
        return
    for version in rows[:LIMIT]:
        address = reverse("library:version", args=[project.slug, version.model.name, version.number])
        yield Hit(str(version), _("Version"), "package", address)


offer(find_models)
offer(find_versions)
