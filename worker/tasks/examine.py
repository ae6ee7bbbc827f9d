"""Examine one uploaded version."""

import errno
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from celery import shared_task
from django.conf import settings

from apps.core import leases
from apps.core.errors import DomainError, StateConflict
from apps.library import services as library
from apps.library.files import fetch_sources
from apps.library.models import ModelVersion
from worker.builders.base import BuildSettings
from worker.builders.packages import list_packages
from worker.errors import ToolError
from worker.inspection import examine as inspect
from worker.inspection.environments import Environments
from worker.specs import Evidence, ExamineSpec, Message, SourceFile, Verdict, gettext_noop

_NO_ROOM = Message(gettext_noop("The disk of the worker's temporary files is full. Ask an administrator to make room."))


@shared_task(name="slipway.examine")
def examine(pk: int) -> None:
    """Look into the version's files check by check and conclude: ready, refused, or tried again later."""
    version = library.begin_examination(pk)
    if version is None:
        return
    try:
        with (
            leases.kept(version, seconds=library.LEASE_SECONDS),
            tempfile.TemporaryDirectory(prefix="slipway-examine-") as folder,
        ):
            for finding in _findings(version, Path(folder)):
                _write_down(version, finding)
    except StateConflict:
        return  # another worker holds the lease now, and writes down what it finds
    except ToolError as error:
        library.fail_examination(version, error.message.to_json(), permanent=error.permanent)
    except DomainError as error:
        library.fail_examination(version, Message(str(error)).to_json())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        library.fail_examination(version, _NO_ROOM.to_json())


def _findings(version: ModelVersion, folder: Path) -> Iterator[Evidence | Verdict]:
    files, scratch = folder / "files", folder / "scratch"
    files.mkdir()
    scratch.mkdir()
    sources = tuple(SourceFile(f.path, f.name, f.sha256, f.size) for f in fetch_sources(version, files))
    spec = ExamineSpec(
        files=sources,
        scratch=scratch,
        example=version.example,
        memory_bytes=settings.SLIPWAY_EXAMINE_MEMORY_BYTES,
        seconds=settings.SLIPWAY_EXAMINE_SECONDS,
        unpacked_bytes=settings.SLIPWAY_UPLOAD_MAX_BYTES,
        excepted=library.granted_names(version),
    )
    return inspect(spec, _environments())


def _environments() -> Environments:
    """Where the libraries of foreign formats are kept, and where their packages come from."""
    packages = BuildSettings(
        index_url=settings.SLIPWAY_INDEX_URL,
        ca_bundle=settings.SLIPWAY_CA_BUNDLE,
        torch_index_url=settings.SLIPWAY_TORCH_INDEX_URL,
        find_links=settings.SLIPWAY_FIND_LINKS,
    )
    return Environments(Path(settings.SLIPWAY_HOME), packages)


def _write_down(version: ModelVersion, finding: Evidence | Verdict) -> None:
    if isinstance(finding, Verdict):
        profile = {**finding.profile, "packages": list_packages(finding.requirements) if finding.accepted else []}
        signature = finding.signature.to_json() if finding.signature else None
        verdict = {**asdict(finding), "profile": profile, "signature": signature}
        library.finish_examination(version, verdict, finding.served_path)
    else:
        library.record_check(version, asdict(finding))
