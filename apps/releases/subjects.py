"""What an approval is bound to: one digest over everything that decides what will run and where it may."""

import hashlib
import json
from typing import Any


def subject_digest(facts: dict[str, Any]) -> str:
    """sha256 over the canonical JSON of ``facts``: the same facts give the same digest, any other fact another."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
