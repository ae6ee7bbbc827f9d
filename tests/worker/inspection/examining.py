"""Examines bytes as an upload and sums up what was reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inspection import examine
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


def examined(folder: Path, files: Mapping[str, bytes | Path], **limits: Any) -> Report:
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
    *evidence, verdict = list(examine(ExamineSpec(tuple(sources), scratch, **limits)))
    assert isinstance(verdict, Verdict)
    reported = [item for item in evidence if isinstance(item, Evidence)]
    assert len(reported) == len(evidence)
    outcomes = {item.check: item for item in reported if item.state != "running"}
    return Report(outcomes, verdict, [(item.check, item.state) for item in reported])
