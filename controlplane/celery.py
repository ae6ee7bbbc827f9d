"""The Celery app. Task modules are named as strings: the domain never imports them."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("slipway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = [
    f"worker.tasks.{name}" for name in ("examine", "build", "reconcile", "check_target", "deliver", "sweep")
]
