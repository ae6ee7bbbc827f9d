"""People, for the search over everything."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Project
from apps.accounts.selectors import members
from apps.core.actors import Actor
from apps.core.search import LIMIT, Hit, offer


def find_people(actor: Actor, project: Project, text: str) -> Iterator[Hit]:
    """Members of the project by name or address."""
    named = Q(user__name__icontains=text) | Q(user__email__icontains=text)
    for member in members(actor, project).filter(named)[:LIMIT]:
        href = reverse("accounts:members", args=[project.slug])
        yield Hit(str(member.user), _("Person"), "user", f"{href}#member-{member.pk}")


offer(find_people)
