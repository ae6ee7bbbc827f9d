"""Everything hostile and everything broken, written out for one process to judge."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.worker.inspection import broken, frameworks, malice, smuggling
from tests.worker.inspection.cases import Case


def malicious(marker: Path) -> Iterator[Case]:
    """What somebody made to do harm; ``marker`` is the file that it would leave behind."""
    yield from malice.cases(marker)
    yield from smuggling.cases()
    yield from frameworks.cases(malice.whole(malice.call("os", "system", f"touch {marker}")))


def damaged() -> Iterator[Case]:
    """What came broken, and what is far larger than it looks."""
    return broken.cases()


def write(cases: list[Case], folder: Path) -> None:
    """The files below ``folder``, and ``index.json`` for ``judging``."""
    index = []
    for number, case in enumerate(cases):
        files = []
        for place, (name, content) in enumerate(case.files.items()):
            path = folder / f"{number}-{place}"
            path.write_bytes(content() if callable(content) else content)
            files.append((name, str(path)))
        index.append({"label": case.label, "files": files})
    (folder / "index.json").write_text(json.dumps(index))
