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
from apps.library import partial, quota
from apps.library.models import Artifact, Upload
from apps.library.names import check_file_name
from apps.library.store import get_store
from apps.library.store.base import full_disk_is_unavailable, hash_file

KEPT_FOR = timedelta(hours=24)  # since the last byte arrived
CHUNK = 1 << 20
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
    with full_disk_is_unavailable(), partial.opened(upload.pk) as file:
        upload.refresh_from_db()  # under the lock nobody else moves it
        _refuse_unless_receiving(upload)
        _reconcile(upload, partial.cut(file, upload.offset))
        _refuse_misplaced(upload, offset, length)
        if checksum:
            _append_checked(upload, file, read, length, checksum)
        else:
            _append(upload, file, read)
        if upload.offset == upload.size:
            _complete(actor, upload)
    return upload


@transaction.atomic
def cancel_upload(*, actor: Actor, upload: Upload) -> Upload:
    """Give the transfer up and the reserved room back."""
    actor.require("version.upload", upload.project)
    advance(upload, Upload.State.CANCELLED)
    record(actor, "upload.cancelled", upload)
    transaction.on_commit(lambda: partial.discard(upload.pk))
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
    stored = get_store().put(stream)
    return StoredFile(name, stored.sha256, stored.size)


def expire_uploads() -> int:
    """Expire what nobody went on with, and remove bytes that belong to no transfer; returns how many expired."""
    overdue = Upload.objects.filter(
        state__in=[Upload.State.RECEIVING, Upload.State.COMPLETE], expires_at__lt=timezone.now()
    )
    expired = sum(_expire(upload) for upload in overdue)
    receiving = {str(pk) for pk in Upload.objects.filter(state=Upload.State.RECEIVING).values_list("pk", flat=True)}
    for upload_id in partial.stored_ids():
        if upload_id not in receiving:
            partial.discard(upload_id)
    return expired


def _expire(upload: Upload) -> bool:
    try:
        with transaction.atomic():
            advance(upload, Upload.State.EXPIRED)
            record(SYSTEM, "upload.expired", upload)
    except StateConflict:  # it was completed, used or cancelled a moment ago
        return False
    partial.discard(upload.pk)
    return True


def _refuse_unless_receiving(upload: Upload) -> None:
    if upload.state != Upload.State.RECEIVING:
        raise StateConflict(
            _("This upload is %(state)s and takes no more bytes.") % {"state": upload.get_state_display()},
            advice=_("Begin a new upload."),
        )


def _reconcile(upload: Upload, end: int) -> None:
    """Believe the disk where it has less than the row says: those bytes must be sent again."""
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


def _append(upload: Upload, file: BinaryIO, read: Read) -> None:
    """Write what comes, and note every so often how much of it is safe."""
    end = upload.offset
    try:
        while end < upload.size and (data := read(min(CHUNK, upload.size - end))):
            partial.write_all(file, data)
            end += len(data)
            if end - upload.offset >= SYNC_EVERY:
                _note_safe(upload, file, end)
    except OSError:
        partial.cut(file, upload.offset)
        raise
    _note_safe(upload, file, end)


def _append_checked(upload: Upload, file: BinaryIO, read: Read, length: int, checksum: Checksum) -> None:
    digest, end = CHECKSUMS[checksum.algorithm](), upload.offset
    try:
        while data := read(CHUNK):
            partial.write_all(file, data)
            digest.update(data)
            end += len(data)
        if end - upload.offset != length or not hmac.compare_digest(digest.digest(), checksum.digest):
            raise ChecksumMismatch(
                _("What arrived does not have the checksum that was announced; it was dropped."),
                advice=_("Send the same bytes again."),
            )
    except (OSError, ChecksumMismatch):
        partial.cut(file, upload.offset)
        raise
    _note_safe(upload, file, end)


def _note_safe(upload: Upload, file: BinaryIO, end: int) -> None:
    partial.sync(file)
    facts: dict[str, Any] = {"offset": end, "expires_at": timezone.now() + KEPT_FOR, "updated_at": timezone.now()}
    if not Upload.objects.filter(pk=upload.pk, state=Upload.State.RECEIVING).update(**facts):
        raise StateConflict(_("This upload was cancelled in the meantime."))
    upload.offset, upload.expires_at = end, facts["expires_at"]


def _complete(actor: Actor, upload: Upload) -> None:
    """Turn the bytes into an artifact. Storing comes first and may be repeated; the row tells whether it is done."""
    path = partial.path_of(upload.pk)
    if upload.declared_sha256 and hash_file(path).sha256 != upload.declared_sha256:
        cancel_upload(actor=actor, upload=upload)
        raise Invalid(
            _("“%(name)s” did not arrive with the sha256 that was announced.") % {"name": upload.name},
            advice=_("Upload the file again; it may have changed while it was being sent."),
        )
    stored = get_store().adopt(path)
    with transaction.atomic():
        artifact, _made = Artifact.objects.get_or_create(sha256=stored.sha256, defaults={"size": stored.size})
        advance(upload, Upload.State.COMPLETE, artifact=artifact)
        record(actor, "upload.completed", upload, after={"sha256": stored.sha256})
    partial.discard(upload.pk)


def _check_digest(sha256: str) -> None:
    if sha256 and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise Invalid(_("The announced sha256 is not one: it needs 64 hexadecimal digits."))
