"""The Celery app. Task modules are named as strings: the domain never imports them."""

import os
import warnings

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("slipway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = [
    f"worker.tasks.{name}"
    for name in ("examine", "build", "reconcile", "check_target", "try_target", "deliver", "sweep")
]

# Celery fears pickle under root; we accept JSON alone, and a container's or a small machine's root is no news.
warnings.filterwarnings("ignore", message="You're running the worker with superuser")
