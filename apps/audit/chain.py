"""The chain's arithmetic, pure: how an entry becomes bytes, and what its hash is.

Every field is written as ``<length>:<bytes>`` (UTF-8, NFC) in a fixed order, so no two different entries share an
encoding; time is integer microseconds since the epoch. hash = SHA-256(0x00 ‖ previous hash ‖ encoding).
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

FIELDS = (
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "ip",
    "request_id",
    "action",
    "object_type",
    "object_id",
    "object_label",
    "project_id",
    "before",
    "after",
    "reason",
)
GENESIS = "0" * 64


def entry_hash(previous: str, fields: Mapping[str, Any]) -> str:
    """The hex hash of an entry with these ``FIELDS`` after the entry with hash ``previous``."""
    return hashlib.sha256(b"\x00" + bytes.fromhex(previous) + encode(fields)).hexdigest()


def encode(fields: Mapping[str, Any]) -> bytes:
    parts = [_text(fields[name]).encode() for name in FIELDS]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return str(round(value.timestamp() * 1_000_000))
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else unicodedata.normalize("NFC", text)  # what is ASCII is NFC already
