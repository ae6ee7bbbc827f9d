"""What people decide for themselves: their name, language and theme."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.context import THEMES
from apps.core.errors import Invalid, NotAllowed

FIELDS = ("name", "language", "theme")


@transaction.atomic
def edit_profile(*, actor: Actor, user: User, **changes: str) -> User:
    """Change one's own name, language (empty: the browser's) or theme; leaves no entry when nothing changes."""
    if not actor.is_person or actor.id != user.pk:
        raise NotAllowed(_("Everybody edits their own profile only."))
    _refuse(changes)
    after = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if not after:
        return user
    before = {name: getattr(user, name) for name in after}
    User.objects.filter(pk=user.pk).update(**after)
    for name, value in after.items():
        setattr(user, name, value)
    record(actor, "profile.edited", user, before=before, after=after)
    return user


def _refuse(changes: dict[str, str]) -> None:
    errors: dict[str, list[str]] = {}
    if "name" in changes and not 1 <= len(changes["name"].strip()) <= 120:
        errors["name"] = [_("Enter a name of 1 to 120 characters.")]
    if changes.get("language") and changes["language"] not in dict(settings.LANGUAGES):
        errors["language"] = [_("This language is not available.")]
    if "theme" in changes and changes["theme"] not in THEMES:
        errors["theme"] = [_("Choose light, dark or system.")]
    unknown = set(changes) - set(FIELDS)
    if unknown:
        errors |= {name: [_("This cannot be changed here.")] for name in unknown}
    if errors:
        raise Invalid(_("The profile cannot be changed like this."), errors=errors)
