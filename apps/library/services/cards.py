"""Cards: edited after the upload, every revision kept, and read for what they say about their model."""

import hashlib
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Invalid, StateConflict
from apps.library import front_matter, index
from apps.library.metadata import known_task, read_metadata, usable_tags
from apps.library.models import CardRevision, MLModel, ModelVersion
from apps.library.services.catalogue import edit_model

MAX_CHARACTERS = 200_000


@transaction.atomic
def edit_card(*, actor: Actor, version: ModelVersion, card: str, base: int) -> CardRevision:
    """Save a new revision of a version's card, made from the revision ``base``.

    StateConflict where somebody saved another one meanwhile; Invalid for metadata that can't be read.
    """
    actor.require("model.edit", version.project)
    card = _checked(card)
    locked = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
    last = _last_revision(locked)
    if last.number != base:
        raise StateConflict(
            _("Somebody saved this card while you were writing."),
            advice=_("Copy your text, look at the card as it is now, and bring both together."),
        )
    if card == locked.card:
        return last
    made = CardRevision.objects.create(
        version=locked, number=last.number + 1, card=card, saved_by_id=actor.user_id, was_uploaded=False
    )
    ModelVersion.objects.filter(pk=locked.pk).update(card=card)
    index.remember(locked.model)
    record(
        actor,
        "version.card_edited",
        locked,
        before={"revision": last.number, "sha256": _digest(last.card)},
        after={"revision": made.number, "sha256": _digest(card)},
    )
    version.card = card
    return made


def take_card(version: ModelVersion, card: str) -> None:
    """Let a version without a card have the one that lay beside its model; called when its examination ends."""
    card = card.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if not card.strip() or not ModelVersion.objects.filter(pk=version.pk, card="").update(card=card):
        return
    version.card = card
    adopt_card(SYSTEM, version.model, card)
    index.remember(version.model)


def adopt_card(actor: Actor, model: MLModel, card: str) -> None:
    """Let a model that has no task or tags yet take those that the card's metadata names."""
    told = read_metadata(card)
    wanted: dict[str, Any] = {}
    if not model.task and told.task:
        wanted["task"] = known_task(told)
    if not model.tags and (tags := usable_tags(told)):
        wanted["tags"] = tags
    if wanted and actor.may("model.edit", model.project):
        edit_model(actor=actor, model=model, **wanted)


def _last_revision(version: ModelVersion) -> CardRevision:
    """The revision in force; before the first edit that is what was uploaded, which is noted here."""
    last = version.card_revisions.order_by("-number").first()
    return last or CardRevision.objects.create(
        version=version,
        number=1,
        card=version.card,
        saved_by_id=version.uploaded_by_id,
        saved_at=version.created_at,
        was_uploaded=True,
    )


def _checked(card: str) -> str:
    """With plain line ends and without NUL, which no database takes."""
    card = card.replace("\r\n", "\n").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if len(card) > MAX_CHARACTERS:
        raise Invalid(
            _("A card can have at most %(limit)d characters.") % {"limit": MAX_CHARACTERS},
            errors={"card": [_("This is too long.")]},
        )
    front_matter.read(card)
    return card


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
