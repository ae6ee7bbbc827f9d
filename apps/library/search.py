"""Models and versions, for the search over everything."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.library import index
from apps.library.models import ModelVersion

DIGEST_PREFIX = 8  # characters of a digest that a page shows or a person pastes


def find_models(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Models of the project by their words, those first whose name it is."""
    if not actor.may("model.view", project):
        return
    for found in index.find(project.pk, text)[:LIMIT]:
        yield Hit(found.name, _("Model"), "box", reverse("library:model", args=[project.slug, found.name]))


def find_versions(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Versions by name (“digits v3”, “digits/3”) or by the beginning of their digest."""
    name, _space, number = text.replace("/", " ").partition(" ")
    wanted = Q(model__name__icontains=name, number=int(number.lstrip("v"))) if number.lstrip("v").isdigit() else Q()
    if len(text) >= DIGEST_PREFIX:
        wanted |= Q(digest__startswith=text.lower().removeprefix("sha256:"))
    if not wanted:
        return
    rows = ModelVersion.objects.visible_to(actor).filter(wanted, model__project=project).select_related("model")
    for row in rows.order_by("model__name", "-number")[:LIMIT]:
        href = reverse("library:version", args=[project.slug, row.model.name, row.number])
        yield Hit(str(row), _("Version"), "box", href)


offer(find_models)
offer(find_versions)
