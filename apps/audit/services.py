"""Writing the log, one entry with every write in the same transaction or no write at all; and proving it whole."""

import contextlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.audit import selectors
from apps.audit.checkpoints import (
    Verification,
    append,
    kept,
    last_checkpoint,
    last_verification,
    note,
    public_keys,
    sign,
)
from apps.audit.copies import name_of, second_place
from apps.audit.models import Entry
from apps.audit.verifier import (
    GENESIS,
    BadNote,
    Checkpoint,
    Problem,
    Verdict,
    entry_hash,
    open_checkpoint,
    read_anchors,
    verify,
)
from apps.core.actors import Actor
from apps.core.errors import Unavailable

log = structlog.get_logger(__name__)

SIGN_AFTER = timedelta(minutes=5)
SIGN_AT = 1000  # entries, when those come earlier

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


def verify_chain() -> Verification:
    """Check the whole log against its head and all checkpoints, note what was found, and return it.

    About 25,000 entries a second. A log that is whole is signed as it is. Writes to the data folder and where copies
    of checkpoints go, nothing to the database.
    """
    notes, unread = _all_checkpoints()
    anchors, problem = read_anchors(notes, public_keys())
    end = selectors.head()  # after the checkpoints, each of which is of a head that was there
    found = verify(selectors.chain(0, end[0]), head=end, anchors=anchors)
    if found.is_whole and selectors.strays():
        problem = {"text": gettext_noop("Entries stand beyond the log's head."), "params": {}}
    problem = found.problem or problem
    if not problem:
        _sign(found)
    return note(Verdict(found.seq, found.hash, problem or unread))


def sign_head() -> None:
    """Sign a checkpoint when it is time for one: what was written since the one before must follow from it."""
    before, end = last_checkpoint(), selectors.head()
    if not _is_due(before, end[0]):
        return
    start = (before.seq, before.hash) if before else (0, GENESIS)
    found = verify(selectors.chain(start[0], end[0]), head=end, start=start)
    if found.is_whole:
        _sign(found)
    else:
        verify_chain()  # which says what is wrong, and where


def _is_due(before: Checkpoint | None, seq: int) -> bool:
    found = last_verification()
    if found and not found.is_whole and timezone.now() - found.moment < SIGN_AFTER:
        return False
    if before is None:
        return seq > 0
    return abs(seq - before.seq) >= SIGN_AT or (seq != before.seq and timezone.now() - before.moment >= SIGN_AFTER)


def _sign(found: Verdict) -> None:
    before = last_checkpoint()
    if before and (before.seq, before.hash) == (found.seq, found.hash):
        return
    signed = sign(found.seq, found.hash)
    append(signed)
    if place := second_place():
        try:
            place.put(name_of(open_checkpoint(signed, public_keys())), signed)
        except Unavailable as error:
            log.error("checkpoint_not_copied", reason=str(error))  # verify_chain makes up for it


def _all_checkpoints() -> tuple[list[str], Problem | None]:
    """Those of the data folder and of the second place, where missing ones are added; and why that cannot be read."""
    notes = list(kept())
    place = second_place()
    if place is None:
        return notes, None
    here = dict(_by_name(notes))
    try:
        there = set(place.names())
        for name in here.keys() - there:
            place.put(name, here[name])
        return notes + [place.get(name) for name in sorted(there - here.keys())], None
    except Unavailable as error:
        text = gettext_noop("The copies of checkpoints cannot be compared: %(reason)s")
        return notes, {"text": text, "params": {"reason": str(error)}}


def _by_name(notes: Iterable[str]) -> Iterator[tuple[str, str]]:
    for one in notes:
        with contextlib.suppress(BadNote):
            yield name_of(open_checkpoint(one, public_keys())), one
