"""Endpoints, for the search over everything: their pages are this app's. And which models run, for the library."""

from collections.abc import Iterable, Iterator

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.deployments.models import Deployment
from apps.library import running
from apps.targets.selectors import endpoints


def find_endpoints(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Endpoints of the project by name."""
    for row in endpoints(actor, project).filter(name__icontains=text)[:LIMIT]:
        href = reverse("deployments:endpoint", args=[project.slug, row.name])
        yield Hit(row.name, _("Endpoint"), "rocket", href)


def find_running(project: Project) -> Iterable[int]:
    """The numbers of the models of which some version is wanted somewhere now."""
    rows = Deployment.objects.filter(project=project, is_wanted=True)
    return rows.order_by().values_list("release__version__model", flat=True).distinct()


offer(find_endpoints)
running.offer(find_running)
