"""The corpus: whatever is hostile or broken is refused in front of the sandbox, for its own reason and quickly.

One fresh process judges everything (``judging``): its memory is that of the examination alone.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.worker.inspection import corpus
from tests.worker.inspection.cases import Case

ROOT = Path(__file__).parents[3]
SECONDS = 2.0  # of processor time
PEAK_KB = 300_000

pytestmark = pytest.mark.xdist_group("corpus")  # it is judged once
Judged = list[tuple[Case, dict[str, Any]]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Every case with its outcome, and what judging it took."""
    folder = tmp_path_factory.mktemp("corpus")
    marker, temporary = folder / "marker", folder / "temporary"
    temporary.mkdir()
    cases = [*corpus.malicious(marker), *corpus.damaged()]
    corpus.write(cases, folder)
    done = subprocess.run(
        [sys.executable, "-m", "tests.worker.inspection.judging", folder, marker],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [outcome["label"] for outcome in outcomes] == [case.label for case in cases]
    assert not marker.exists()
    return list(zip(cases, outcomes, strict=True))


def test_the_corpus_is_wide() -> None:
    malicious, damaged = list(corpus.malicious(Path("marker"))), list(corpus.damaged())
    assert [case.label for case in malicious + damaged if not case.reason] == []
    assert len({case.kind for case in malicious}) >= 40
    assert len({case.kind for case in damaged}) >= 40
    assert [label for label, times in Counter(c.label for c in malicious + damaged).items() if times > 1] == []


def test_every_file_is_refused_by_the_right_check_and_for_its_own_reason(judged: Judged) -> None:
    wrong = [
        f"{case.label}: {outcome.get('check')} {outcome.get('reason')!r} {outcome.get('error', '')}"
        for case, outcome in judged
        if outcome.get("check") != case.check or case.reason not in outcome["reason"] or not outcome["advice"]
    ]
    assert wrong == []


def test_nothing_of_it_ever_runs(judged: Judged) -> None:
    assert [case.label for case, outcome in judged if outcome["marked"]] == []


def test_no_file_takes_longer_than_is_promised(judged: Judged) -> None:
    slowest = sorted(((outcome["seconds"], case.label) for case, outcome in judged), reverse=True)
    print(slowest[:5])
    assert [label for seconds, label in slowest if seconds > SECONDS] == []


def test_no_file_takes_300_megabytes(judged: Judged) -> None:
    assert [(case.label, outcome["peak_kb"]) for case, outcome in judged if outcome["peak_kb"] > PEAK_KB] == []


def test_what_is_refused_leaves_nothing_on_the_disk(judged: Judged) -> None:
    assert [(case.label, outcome["left"]) for case, outcome in judged if outcome["left"]] == []
    assert [(case.label, outcome["open"]) for case, outcome in judged if outcome["open"] > 0] == []
