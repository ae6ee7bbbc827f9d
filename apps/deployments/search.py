"""Endpoints, for the search over everything: their pages are this app's."""

from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.targets.selectors import endpoints


def find_endpoints(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Endpoints of the project by name."""
    for row in endpoints(actor, project).filter(name__icontains=text)[:LIMIT]:
        href = reverse("deployments:endpoint", args=[project.slug, row.name])
        yield Hit(row.name, _("Endpoint"), "rocket", href)


offer(find_endpoints)
