"""What starts by itself: the releases of an environment that says so, once they are approved and built."""

import structlog

from apps.core.actors import SYSTEM
from apps.core.errors import StateConflict
from apps.deployments import selectors as deployments
from apps.deployments import services as deploying

log = structlog.get_logger(__name__)

AT_ONCE = 100


def start_due() -> None:
    """Start all that wait. The end of a build calls it at once, and the clock again and again."""
    for release in deployments.due_starts()[:AT_ONCE]:
        try:
            deploying.start_release(actor=SYSTEM, release=release)
        except StateConflict as conflict:
            log.info("not_started", release=release.pk, reason=str(conflict))
