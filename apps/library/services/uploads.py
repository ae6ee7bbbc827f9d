"""Receiving files: in one go, or resumably piece by piece. Bytes become an artifact only when all have arrived."""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.services import record
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import DomainError, Invalid, StateConflict, TooLarge
from apps.core.states import advance
from apps.library import quota
from apps.library.models import Upload
from apps.library.names import check_file_name
from apps.library.services.artifacts import claim, keep
from apps.library.store import Draft, Stored, get_store

KEPT_FOR = timedelta(hours=24)  # since the last byte arrived
CHUNK = 128 << 10  # read at once: what a line that breaks may cost
SYNC_EVERY = 16 << 20  # bytes that a crash may cost: they are sent again
CHECKSUMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}

Read = Callable[[int], bytes]


class ChecksumMismatch(DomainError):
    """The piece that arrived is not the one that was sent; it was dropped. 460 is tus's own status for it."""

    status = 460


@dataclass(frozen=True)
class Checksum:
    """What the sender says a piece hashes to."""

    algorithm: str  # a key of CHECKSUMS
    digest: bytes


@dataclass(frozen=True)
class StoredFile:
    """A file whose bytes are in the store already, under the name it will have in a version."""

    name: str
    sha256: str
    size: int


@transaction.atomic
def create_upload(*, actor: Actor, project: Project, name: str, size: int, sha256: str = "") -> Upload:
    """Begin a resumable transfer of ``size`` bytes. What could never be kept is refused here, before it is sent.

    ``sha256`` is what the sender knows the bytes to be: other bytes are then refused when all have arrived.
    """
    actor.require("version.upload", project)
    check_file_name(name)
    _check_digest(sha256)
    quota.require_size(size)
    quota.require_room(project, size)
    quota.require_disk(size)
    upload = Upload.objects.create(
        project=project,
        created_by_id=actor.user_id,
        name=name,
        size=size,
        declared_sha256=sha256.lower(),
        expires_at=timezone.now() + KEPT_FOR,
    )
    record(actor, "upload.created", upload, after={"name": name, "size": size})
    return upload


def receive(
    *, actor: Actor, upload: Upload, offset: int, length: int, read: Read, checksum: Checksum | None = None
) -> Upload:
    """Append ``length`` bytes at ``offset`` and return the upload as it stands then.

    Bytes that arrived before a connection broke are kept, unless the piece carries a checksum, which only a whole piece
    can meet. A wrong offset, or a second connection writing, is a StateConflict. The last byte completes the upload.
    """
    actor.require("version.upload", upload.project)
    if upload.state == Upload.State.COMPLETE and (offset, length) == (upload.size, 0):
        return upload  # asked once more because the answer got lost
    _refuse_unless_receiving(upload)
    with get_store().draft(str(upload.pk), upload.size) as draft:
        upload.refresh_from_db()  # while the draft is ours nobody else moves it
        _refuse_unless_receiving(upload)
        _reconcile(upload, draft.cut(upload.offset))
        _refuse_misplaced(upload, offset, length)
        if checksum:
            _append_checked(upload, draft, read, length, checksum)
        else:
            _append(upload, draft, read)
        if upload.offset == upload.size:
            _complete(actor, upload, draft)
    if upload.state == Upload.State.COMPLETE:
        get_store().discard(str(upload.pk))
    return upload


@transaction.atomic
def cancel_upload(*, actor: Actor, upload: Upload) -> Upload:
    """Give the transfer up and the reserved room back."""
    actor.require("version.upload", upload.project)
    advance(upload, Upload.State.CANCELLED)
    record(actor, "upload.cancelled", upload)
    transaction.on_commit(lambda: get_store().discard(str(upload.pk)), robust=True)  # else the sweep does
    return upload


def store_file(*, actor: Actor, project: Project, name: str, stream: BinaryIO) -> StoredFile:
    """Store a file that is at hand as a whole, for ``create_version(files=…)``; no row is written yet."""
    actor.require("version.upload", project)
    check_file_name(name)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    quota.require_size(size)
    with transaction.atomic():
        quota.require_room(project, size)
    stored = keep(stream)
    return StoredFile(name, stored.sha256, stored.size)


def expire_uploads() -> int:
    """Expire what nobody went on with, and remove bytes that belong to no transfer; returns how many expired."""
    overdue = Upload.objects.filter(
        state__in=[Upload.State.RECEIVING, Upload.State.COMPLETE], expires_at__lt=timezone.now()
    )
    expired = sum(_expire(upload) for upload in overdue)
    drafts = set(get_store().drafts())  # first these, then the rows: a draft is never older than its row
    receiving = {str(pk) for pk in Upload.objects.filter(state=Upload.State.RECEIVING).values_list("pk", flat=True)}
    for name in drafts - receiving:
        get_store().discard(name)
    return expired


def _expire(upload: Upload) -> bool:
    try:
        with transaction.atomic():
            advance(upload, Upload.State.EXPIRED)
            record(SYSTEM, "upload.expired", upload)
    except StateConflict:  # it was completed, used or cancelled a moment ago
        return False
    get_store().discard(str(upload.pk))
    return True


def _refuse_unless_receiving(upload: Upload) -> None:
    if upload.state != Upload.State.RECEIVING:
        raise StateConflict(
            _("This upload is %(state)s and takes no more bytes.") % {"state": upload.get_state_display()},
            advice=_("Begin a new upload."),
        )


def _reconcile(upload: Upload, end: int) -> None:
    """Believe the store: bytes that it has lost must be sent again, and those that it has need not be."""
    if end != upload.offset:
        Upload.objects.filter(pk=upload.pk).update(offset=end)
        upload.offset = end


def _refuse_misplaced(upload: Upload, offset: int, length: int) -> None:
    if offset != upload.offset:
        raise StateConflict(
            _("The upload stands at byte %(at)d, not at %(offset)d.") % {"at": upload.offset, "offset": offset},
            advice=_("Ask how far it has come (HEAD) and go on from there."),
        )
    if offset + length > upload.size:
        raise TooLarge(_("These bytes go beyond the %(size)d that were announced.") % {"size": upload.size})


def _append(upload: Upload, draft: Draft, read: Read) -> None:
    """Write what comes, and note every so often how much of it is safe."""
    try:
        while draft.end < upload.size and (data := read(min(CHUNK, upload.size - draft.end))):
            draft.append(data)
            if draft.end - upload.offset >= SYNC_EVERY:
                _note_safe(upload, draft)
    except OSError:
        draft.cut(upload.offset)
        raise
    _note_safe(upload, draft)


def _append_checked(upload: Upload, draft: Draft, read: Read, length: int, checksum: Checksum) -> None:
    """Write a piece that counts only as a whole; until its checksum is proven it can be taken back."""
    digest = CHECKSUMS[checksum.algorithm]()
    try:
        while data := read(CHUNK):
            draft.append(data)
            digest.update(data)
        if draft.end - upload.offset != length or not hmac.compare_digest(digest.digest(), checksum.digest):
            raise ChecksumMismatch(
                _("What arrived does not have the checksum that was announced; it was dropped."),
                advice=_("Send the same bytes again."),
            )
    except (OSError, ChecksumMismatch):
        draft.cut(upload.offset)
        raise
    _note_safe(upload, draft)


def _note_safe(upload: Upload, draft: Draft) -> None:
    draft.flush()
    facts: dict[str, Any] = {"offset": draft.end, "expires_at": timezone.now() + KEPT_FOR, "updated_at": timezone.now()}
    if not Upload.objects.filter(pk=upload.pk, state=Upload.State.RECEIVING).update(**facts):
        raise StateConflict(_("This upload was cancelled in the meantime."))
    upload.offset, upload.expires_at = draft.end, facts["expires_at"]


def _complete(actor: Actor, upload: Upload, draft: Draft) -> None:
    """Turn the bytes into an artifact. Storing comes first and may be repeated; the row tells whether it is done."""
    stored = draft.seal()
    _refuse_other_bytes(actor, upload, stored)
    draft.publish(stored)
    with transaction.atomic():
        artifact = claim(stored, lambda: draft.publish(stored))
        advance(upload, Upload.State.COMPLETE, artifact=artifact)
        record(actor, "upload.completed", upload, after={"sha256": stored.sha256})


def _refuse_other_bytes(actor: Actor, upload: Upload, stored: Stored) -> None:
    if stored.size == upload.size and upload.declared_sha256 in ("", stored.sha256):
        return
    cancel_upload(actor=actor, upload=upload)
    raise Invalid(
        _("“%(name)s” did not arrive with the sha256 that was announced.") % {"name": upload.name},
        advice=_("Upload the file again; it may have changed while it was being sent."),
    )


def _check_digest(sha256: str) -> None:
    if sha256 and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise Invalid(_("The announced sha256 is not one: it needs 64 hexadecimal digits."))
