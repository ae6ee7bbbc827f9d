"""Releases, for the search over everything."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer
from apps.releases.models import Release


def find_releases(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Releases of the project by number (“#12”), model or endpoint, newest first."""
    named = Q(version__model__name__icontains=text) | Q(endpoint__name__icontains=text)
    if (number := text.lstrip("#")).isdigit():
        named |= Q(pk=int(number))
    rows = Release.objects.visible_to(actor).filter(named, project=project)
    for row in rows.select_related("version__model", "endpoint").order_by("-pk")[:LIMIT]:
        href = reverse("releases:release", args=[project.slug, row.pk])
        yield Hit(str(row), _("Release"), "git-pull-request-arrow", href)


offer(find_releases)
