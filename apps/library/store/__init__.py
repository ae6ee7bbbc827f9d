"""The artifact store: bytes under the sha256 of what they are, on a disk or in a bucket.

``base`` holds the promises, ``disk`` and ``bucket`` one kind of store each, ``registry`` opens the one that
``SLIPWAY_STORE_URL`` names. Another kind is one more file here and one more line in the registry. What has not arrived
completely is a draft, which nobody else sees; ``multipart`` holds the bucket's kind, ``copying`` gives it its name
in the end, ``tally`` counts their digests.
"""

from apps.library.store.base import DamagedArtifact, Draft, Store, Stored
from apps.library.store.registry import get_store, open_store

__all__ = ["DamagedArtifact", "Draft", "Store", "Stored", "get_store", "open_store"]
