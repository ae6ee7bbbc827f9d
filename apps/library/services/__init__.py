"""Every write to the library, each with its permission, its audit entry and its job.

``catalogue`` names models, ``uploads`` receives bytes, ``versions`` makes versions of them and retires them, ``cards``
keeps what is written about one, ``examinations`` writes down what the worker finds out about it, ``exceptions`` have a
refused one opened all the same, ``deletions`` deletes one that nothing refers to, ``artifacts`` collects bytes that
nobody needs any more, and ``sample`` uploads a model for somebody who has none at hand.
"""

from apps.library.services.artifacts import Unreferenced, collect, collect_unreferenced, find_unreferenced
from apps.library.services.cards import edit_card
from apps.library.services.catalogue import create_model, edit_model, tag_models, untag_models
from apps.library.services.deletions import delete_version
from apps.library.services.examinations import (
    LEASE_SECONDS,
    begin_examination,
    fail_examination,
    finish_examination,
    record_check,
)
from apps.library.services.exceptions import (
    approve_exception,
    ask_exception,
    granted_names,
    names_beyond,
    reject_exception,
    revoke_exception,
)
from apps.library.services.sample import upload_sample
from apps.library.services.uploads import (
    Checksum,
    ChecksumMismatch,
    StoredFile,
    cancel_upload,
    create_upload,
    expire_uploads,
    receive,
    store_file,
)
from apps.library.services.versions import (
    create_named_version,
    create_version,
    restore_each,
    restore_version,
    retire_each,
    retire_version,
)

__all__ = [
    "LEASE_SECONDS",
    "Checksum",
    "ChecksumMismatch",
    "StoredFile",
    "Unreferenced",
    "approve_exception",
    "ask_exception",
    "begin_examination",
    "cancel_upload",
    "collect",
    "collect_unreferenced",
    "create_model",
    "create_named_version",
    "create_upload",
    "create_version",
    "delete_version",
    "edit_card",
    "edit_model",
    "expire_uploads",
    "fail_examination",
    "find_unreferenced",
    "finish_examination",
    "granted_names",
    "names_beyond",
    "receive",
    "record_check",
    "reject_exception",
    "restore_each",
    "restore_version",
    "retire_each",
    "retire_version",
    "revoke_exception",
    "store_file",
    "tag_models",
    "untag_models",
    "upload_sample",
]
