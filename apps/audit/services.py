"""Writing the log, one entry with every write in the same transaction or no write at all; and proving it whole."""

import json
import unicodedata
from itertools import takewhile
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.audit import selectors
from apps.audit.chain import entry_hash
from apps.audit.checkpoints import Checkpoint, anchors
from apps.audit.checkpoints import note as note_checkpoint
from apps.audit.models import Entry
from apps.audit.verifier import Verdict, verify
from apps.core.actors import Actor

_HEAD_LOCKED = {
    "sqlite": "SELECT seq, hash FROM audit_head WHERE id = 1",  # whoever writes there is alone already
    "postgresql": "SELECT seq, hash FROM audit_lock_head()",
}


def record(
    actor: Actor,
    action: str,
    thing: models.Model,
    *,
    project: models.Model | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    note: str = "",
) -> Entry:
    """Append one entry and return it. Must be called inside the transaction of the change it tells of.

    ``before`` and ``after`` hold only what changed, as plain JSON values; never a secret. The project is taken from
    the thing when it has one. Whoever else records waits from here until the transaction ends, so rows that others
    change too are to be changed before, or the two wait for each other.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("record() outside the transaction of the change it tells of")
    seq, previous = _lock_head()
    fields: dict[str, Any] = {
        "seq": seq + 1,
        "at": timezone.now(),
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_label": _clean(actor.label, 200),
        "ip": actor.ip,
        "request_id": actor.request_id,
        "action": action,
        "object_type": thing._meta.model_name,
        "object_id": str(thing.pk),
        "object_label": _clean(str(thing), 300),
        "project_id": project.pk if project is not None else _project_of(thing),
        "before": _json(before),
        "after": _json(after),
        "reason": _clean(note),
    }
    entry = Entry(**fields, previous=previous, hash=entry_hash(previous, fields))
    entry.save(force_insert=True)  # and the head moves with it, by a trigger
    return entry


def _lock_head() -> tuple[int, str]:
    """Number and hash of the last entry; whoever else appends waits until our transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD_LOCKED[connection.vendor])
        seq, latest = cursor.fetchone()
    return seq, latest


def _project_of(thing: models.Model) -> Any:
    if thing._meta.label == "accounts.Project":
        return thing.pk
    if hasattr(thing, "project_id"):
        return thing.project_id
    project = getattr(thing, "project", None)
    return project.pk if project is not None else None


def _json(value: dict[str, Any] | None) -> str:
    return "" if value is None else _clean(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))


def _clean(text: str, limit: int | None = None) -> str:
    return unicodedata.normalize("NFC", text.replace("\x00", "�"))[:limit]


def verify_chain() -> Checkpoint:
    """Check the whole log against its head and all earlier checkpoints, note what was found, and return it.

    About 25,000 entries a second. Writes a line to the data folder, nothing to the database.
    """
    end = selectors.head()
    chain = takewhile(lambda entry: entry["seq"] <= end[0], selectors.chain())  # more may be written meanwhile
    verdict = verify(chain, head=end, anchors=anchors())
    if verdict.is_whole and selectors.strays():
        verdict = Verdict(*end, {"text": gettext_noop("Entries stand beyond the log's head."), "params": {}})
    return note_checkpoint(verdict)
