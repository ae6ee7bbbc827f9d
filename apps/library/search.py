"""Models, for the search over everything."""

from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.library.models import MLModel


def find_models(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Models of the project by name or description; “digits v3” and “digits/3” lead to the version."""
    name, _space, number = text.replace("/", " ").partition(" ")
    rows = MLModel.objects.visible_to(actor).filter(project=project, name__icontains=name).order_by("name")
    for model in rows[:LIMIT]:
        yield Hit(model.name, _("Model"), "box", reverse("library:model", args=[project.slug, model.name]))
        wanted = number.strip().lstrip("v")
        if wanted.isdigit() and model.versions.filter(number=int(wanted)).exists():
            href = reverse("library:version", args=[project.slug, model.name, int(wanted)])
            yield Hit(f"{model.name} v{wanted}", _("Version"), "box", href)


offer(find_models)
