"""New keys of the installation, and what the earlier ones have closed closed again. Processes that run follow.

Any model with a column ``sealed`` and a ``seal_place`` takes part: nobody has to register it here.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import ApiKey
from apps.audit.models import Head
from apps.audit.services import record
from apps.core.actors import SYSTEM
from apps.core.errors import StateConflict
from apps.core.sealing import key_id_of, newest_key_id, seal_again

BATCH = 200


def rotate_master_key() -> int:
    """Seal with a new master key from now on, and everything sealed before again; how many values that were.

    A value that somebody else writes meanwhile is theirs: it is looked at again until all are under the new key.
    """
    settings.SLIPWAY_MASTER_KEYS.rotate()
    count = seal_all_again()
    _note("master_key.rotated", key=newest_key_id(), sealed_again=count)
    return count


def seal_all_again() -> int:
    """Bring every sealed value under the newest master key; how many were not. SealBroken names one that won't open."""
    count = 0
    while rows := list(_under_earlier_keys()):
        count += sum(map(_seal_row_again, rows))
    return count


def forget_master_keys() -> None:
    """Remove the earlier master keys; StateConflict while a value needs one."""
    if left := sum(1 for _row in _under_earlier_keys()):
        text = _("%(count)d values still need an earlier master key. Run rotate_keys again, then remove it.")
        raise StateConflict(text % {"count": left})
    settings.SLIPWAY_MASTER_KEYS.forget()
    _note("master_key.earlier_removed", key=newest_key_id())


def rotate_pepper() -> None:
    """Make API keys with a new pepper from now on; those made before are accepted as long as they live."""
    settings.SLIPWAY_PEPPERS.rotate()
    _note("pepper.rotated")


def forget_peppers() -> None:
    """Remove the earlier peppers; StateConflict while a living key was made with one."""
    since = settings.SLIPWAY_PEPPERS.newest_since()
    living = ApiKey.objects.filter(revoked_at=None, expires_at__gt=timezone.now())
    left = living.filter(created_at__lte=since).count() if since else 0
    if left:
        text = _("%(count)d API keys were made before the last rotation. Revoke them, or wait until they expire.")
        raise StateConflict(text % {"count": left})
    settings.SLIPWAY_PEPPERS.forget()
    _note("pepper.earlier_removed")


def rotate_session_key() -> None:
    """Sign sessions with a new key from the next start on; those signed before stay good."""
    settings.SLIPWAY_SESSION_KEYS.rotate()
    _note("session_key.rotated")


def forget_session_keys() -> None:
    """Sign everybody out whose session an earlier key has signed, from the next start on."""
    settings.SLIPWAY_SESSION_KEYS.forget()
    _note("session_key.earlier_removed")


def sealing_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if any(field.name == "sealed" for field in model._meta.fields)]


def _under_earlier_keys() -> Iterator[Any]:
    newest = newest_key_id()
    for model in sealing_models():
        rows: Iterator[Any] = model._default_manager.exclude(sealed="").order_by("pk").iterator(chunk_size=BATCH)
        yield from (row for row in rows if key_id_of(row.sealed) != newest)


def _seal_row_again(row: Any) -> bool:
    again = seal_again(row.sealed, row.seal_place)
    return bool(type(row)._default_manager.filter(pk=row.pk, sealed=row.sealed).update(sealed=again))


@transaction.atomic
def _note(action: str, **after: object) -> None:
    """The log's head stands for the installation, which has no row of its own."""
    record(SYSTEM, action, Head.objects.get(), after=after or None)
