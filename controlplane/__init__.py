"""How processes start: settings, addresses, and the entry points of web, worker and gateway.

The only place that knows everybody.
"""

from controlplane.celery import app as celery_app

__all__ = ["celery_app"]
