"""Which class opens which kind of store."""

from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from apps.library.store.base import Store

# Named, not imported: an installation on disk never loads the S3 client.
STORES = {
    "file": "apps.library.store.disk.DiskStore",
    "s3": "apps.library.store.bucket.BucketStore",
}


def get_store() -> Store:
    """The store of this installation."""
    return open_store(settings.SLIPWAY_STORE_URL)


@lru_cache(maxsize=8)
def open_store(url: str) -> Store:
    """The store at a URL such as ``file:///data/artifacts`` or ``s3://bucket/prefix``."""
    parts = urlsplit(url)
    if parts.scheme not in STORES:
        known = ", ".join(f"{scheme}://" for scheme in STORES)
        raise ImproperlyConfigured(f"SLIPWAY_STORE_URL starts with none of {known}: {url}")
    return import_string(STORES[parts.scheme])(parts)
