"""Judges a corpus in one fresh process and prints, a line of JSON a case, the verdict, the seconds and the peak memory.

    python -m tests.worker.inspection.judging FOLDER MARKER

``FOLDER/index.json`` lists the cases with their files. Nothing that makes the corpus is imported here, so that the
memory is that of the examination alone. The peak is the kernel's (VmHWM), set back before each case. What an
examination leaves behind, once its scratch folder is gone as the task removes it, is counted: files in the folder for
temporary ones, and open descriptors, which hold on to the room of deleted files. A case that
passes everything in front of the sandbox is reported as let through; it is not opened.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from worker.inspection import examine, second_opinion
from worker.specs import Evidence, ExamineSpec, SourceFile

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def judge(case: dict[str, Any], marker: Path) -> dict[str, Any]:
    """The outcome of one case, and what it took."""
    files = tuple(SourceFile(Path(path), name, "0" * 64, Path(path).stat().st_size) for name, path in case["files"])
    scratch = Path(tempfile.mkdtemp(prefix="judging-"))
    before = _open_files()
    _RESET.write_text("5")
    start = time.process_time()
    try:
        evidence = _refusal(ExamineSpec(files, scratch))
        seconds = time.process_time() - start
    except Exception as error:
        return {"label": case["label"], "error": f"{type(error).__name__}: {error}"[:500], "marked": marker.exists()}
    finally:
        shutil.rmtree(scratch)
    return {
        "label": case["label"],
        "check": evidence.check if evidence else "",
        "reason": str(evidence.reason) if evidence else "",
        "advice": str(evidence.advice) if evidence else "",
        "seconds": round(seconds, 3),
        "peak_kb": _peak(),
        "left": os.listdir(tempfile.gettempdir()),
        "open": _open_files() - before,
        "marked": marker.exists(),
    }


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _refusal(spec: ExamineSpec) -> Evidence | None:
    """The evidence that refuses, or none when the sandbox would be next."""
    for finding in examine(spec):
        if isinstance(finding, Evidence) and finding.state == "failed":
            return finding
        if isinstance(finding, Evidence) and finding.check == "sandbox":
            return None
    return None


def _peak() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def main() -> None:
    folder, marker = Path(sys.argv[1]), Path(sys.argv[2])
    second_opinion.ask = lambda path: {}  # of other scanners ``tests/bench/scanners.py`` tells
    for case in json.loads((folder / "index.json").read_text()):
        print(json.dumps(judge(case, marker)), flush=True)


if __name__ == "__main__":
    main()
