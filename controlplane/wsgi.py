"""The web process's entry for gunicorn. Every view is imported here: a broken one must not wait for a visitor."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018
