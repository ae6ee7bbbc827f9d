"""Examines bytes as an upload and sums up what was reported."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines import require_folder
from worker.builders.base import BuildSettings
from worker.inspection import examine
from worker.inspection.environments import Environments
from worker.specs import Evidence, ExamineSpec, SourceFile, Verdict


@dataclass
class Report:
    """The outcome of each check, and the verdict."""

    checks: dict[str, Evidence]
    verdict: Verdict
    order: list[tuple[str, str]]  # every state that was reported, as it came

    @property
    def failed(self) -> Evidence:
        return next(evidence for evidence in self.checks.values() if evidence.state == "failed")


def environment_of(library: str) -> Environments:
    """Real environments, kept between runs; ends the test where there is no place for them."""
    packages = BuildSettings(
        find_links=os.environ.get("SLIPWAY_FIND_LINKS", ""),
        torch_index_url=os.environ.get("SLIPWAY_TORCH_INDEX_URL", ""),
    )
    return Environments(require_folder(library), packages)


def examined(
    folder: Path, files: Mapping[str, bytes | Path], environments: Environments | None = None, **limits: Any
) -> Report:
    """Examine these files, by name, with a scratch folder inside ``folder``."""
    number = len(list(folder.iterdir()))
    scratch = folder / f"scratch-{number}"
    scratch.mkdir()
    sources = []
    for index, (name, content) in enumerate(files.items()):
        path = content if isinstance(content, Path) else folder / f"upload-{number}-{index}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        sources.append(SourceFile(path, name, "0" * 64, path.stat().st_size))
    *evidence, verdict = list(examine(ExamineSpec(tuple(sources), scratch, **limits), environments))
    assert isinstance(verdict, Verdict)
    reported = [item for item in evidence if isinstance(item, Evidence)]
    assert len(reported) == len(evidence)
    outcomes = {item.check: item for item in reported if item.state != "running"}
    return Report(outcomes, verdict, [(item.check, item.state) for item in reported])
