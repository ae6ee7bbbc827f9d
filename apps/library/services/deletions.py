"""Deleting versions for good, as long as nothing refers to them. Their bytes are collected later, if nobody else's."""

from collections.abc import Iterable

from django.db import models, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import StateConflict
from apps.library.models import MLModel, ModelVersion

MOVING = (ModelVersion.State.UPLOADED, ModelVersion.State.EXAMINING)
NAMED = 5


@transaction.atomic
def delete_version(*, actor: Actor, version: ModelVersion, note: str = "") -> None:
    """Delete a version with its files and evidence; its number is never given again.

    StateConflict while it is examined, and while anything refers to it: a release of it, whatever runs by one, or a
    version that was made from it.
    """
    actor.require("version.delete", version.project)
    locked = ModelVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
    _refuse_moving(locked)
    before = {"digest": locked.digest, "state": locked.state, "files": [file.name for file in locked.files.all()]}
    _remove(locked)
    MLModel.objects.filter(pk=locked.model_id).update(last_number=Greatest("last_number", locked.number))
    record(actor, "version.deleted", version, before=before, note=note)


def _refuse_moving(version: ModelVersion) -> None:
    if version.state in MOVING:
        raise StateConflict(
            _("%(version)s is being examined.") % {"version": version}, advice=_("Delete it when that is over.")
        )


def _remove(version: ModelVersion) -> None:
    """Let the database find what stands in the way: this room does not know who else refers to versions."""
    try:
        ModelVersion.objects.filter(pk=version.pk).delete()
    except ProtectedError as refusal:
        raise StateConflict(
            _("%(version)s is still referred to by %(others)s.")
            % {"version": version, "others": _name(refusal.protected_objects)},
            advice=_("What was released or built upon is kept. Retire the version to take it out of use."),
        ) from refusal


def _name(others: Iterable[models.Model]) -> str:
    names = sorted(str(other) for other in others)
    more = len(names) - NAMED
    if more <= 0:
        return ", ".join(names)
    rest = ngettext("%(count)d more", "%(count)d more", more) % {"count": more}
    return ", ".join([*names[:NAMED], rest])
