"""Settings for the tests: a data folder of their own, made anew for each run."""

import os
import tempfile

os.environ.setdefault("SLIPWAY_HOME", tempfile.mkdtemp(prefix="slipway-tests-"))

from controlplane.settings import *  # noqa: F403

CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}  # noqa: F405
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT.mkdir(exist_ok=True)  # noqa: F405 — whitenoise warns of a folder that is not there
