"""Make what will run out of what was approved."""

import tempfile
from pathlib import Path

import structlog
from celery import shared_task
from django.conf import settings

from apps.core import leases
from apps.core.errors import DomainError, StateConflict
from apps.library.models import VersionFile
from apps.library.store import get_store
from apps.releases import services as releases
from apps.releases.models import Build
from worker.builders.registry import BUILDER_OF_TARGET, open_builder
from worker.errors import ToolError
from worker.specs import BuildResult, BuildSpec, Message, SourceFile, gettext_noop, signature_from_json
from worker.tasks.images import build_settings
from worker.tasks.live_log import LiveLog
from worker.tasks.starts import start_due

RETRY_SECONDS = 5.0
log = structlog.get_logger(__name__)


@shared_task(name="slipway.build")
def build(pk: int) -> None:
    """Fetch the approved bytes, build, and write down what came of it; a passing error is tried again.

    What starts by itself is started right after it.
    """
    row = releases.begin_build(pk)
    if row is None:
        return
    kind, lines = BUILDER_OF_TARGET[row.release.target.kind], LiveLog(row)
    try:
        with leases.kept(row, seconds=releases.BUILD_LEASE_SECONDS):
            result = run_builder(row, kind, lines)
        finish(row, kind, result, lines.text)
    except ToolError as error:
        retry_in = None if error.permanent else RETRY_SECONDS
        fail(row, error.kind, error.message, lines.text_with(error.log), retry_in)
    except StateConflict:
        log.info("overtaken", build=pk)
    except DomainError as error:
        words = Message(gettext_noop("The stored file cannot be used: %(reason)s"), {"reason": str(error)})
        fail(row, "artifact", words, "", None)
    else:
        start_due()


def run_builder(row: Build, kind: str, log_lines: LiveLog) -> BuildResult:
    home = Path(settings.SLIPWAY_HOME)
    with tempfile.TemporaryDirectory(dir=home, prefix=".build-") as scratch:
        return open_builder(kind, build_settings()).build(build_spec(row, Path(scratch)), home, log_lines)


def build_spec(row: Build, scratch: Path) -> BuildSpec:
    """Everything that decides the bytes, read from the approved version; the file's digest is checked on the way."""
    version, options = row.release.version, row.release.options
    served = VersionFile.objects.select_related("artifact").get(version=version, is_served=True)
    path = get_store().fetch_verified(served.artifact_id, scratch)
    return BuildSpec(
        model=version.model.name,
        version=str(version.number),
        subject=row.release.subject,
        file=SourceFile(path, served.name, served.artifact_id, served.artifact.size),
        format=version.served_format,
        signature=signature_from_json(version.signature or {}),
        requirements=tuple(version.requirements),
        golden=version.golden,
        labels=tuple(version.class_labels),
        trusted=tuple(version.trusted),
        uses_gpus=row.release.gpus > 0,
        batching={
            "max_size": options.get("batch_max_size", 32),
            "max_delay_ms": options.get("batch_max_delay_ms", 0),
        },
    )


def finish(row: Build, kind: str, result: BuildResult, log_text: str) -> None:
    steps = [
        {"name": step.name, "seconds": step.seconds, "detail": step.detail.to_json() if step.detail else None}
        for step in result.steps
    ]
    releases.finish_build(
        row,
        builder=kind,
        digest=result.digest,
        location=result.location,
        environment=result.environment,
        lock_digest=result.lock_digest,
        steps=steps,
        attachments=dict(result.attachments),
        log=log_text,
    )


def fail(row: Build, kind: str, message: Message, error_log: str, retry_in: float | None) -> None:
    try:
        releases.fail_build(row, kind=kind, message=message.to_json(), log=error_log, retry_in=retry_in)
    except StateConflict:
        log.info("overtaken", build=row.pk)
