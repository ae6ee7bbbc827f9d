"""JSON in one form only, so that equal facts have equal digests, and the small documents that images are made of."""

import json
from collections.abc import Mapping
from typing import Any

from worker.builders.image.client import Blob

Json = dict[str, Any]


def canonical(value: Mapping[str, Any]) -> bytes:
    """Sorted, without spaces, ASCII: for what is named by its digest."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def descriptor(media_type: str, blob: Blob) -> Json:
    """How a manifest names a blob (OCI image specification, ``descriptor.md``)."""
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
