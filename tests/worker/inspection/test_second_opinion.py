"""picklescan is asked, behind the wall, and shown; what it says changes nothing."""

import pickle
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from tests.worker.inspection import malice
from worker import sandbox
from worker.errors import ToolError
from worker.inspection import examine, second_opinion
from worker.sandbox import Outcome
from worker.specs import Evidence, ExamineSpec, SourceFile

pytestmark = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


def ask(folder: Path, data: bytes) -> dict[str, object]:
    path = folder / "model"
    path.write_bytes(data)
    return dict(second_opinion.ask(path))


def test_a_known_gadget_is_called_dangerous(tmp_path: Path) -> None:
    said = ask(tmp_path, malice.whole(malice.call("os", "system", "true")))
    assert (said["verdict"], said["dangerous"]) == ("dangerous", ["os.system"])
    assert str(said["scanner"]).startswith("picklescan ")


def judged(folder: Path, data: bytes) -> Evidence:
    """What the safety check says of a file."""
    path = folder / "m.pkl"
    path.write_bytes(data)
    (folder / "scratch").mkdir()
    findings = examine(ExamineSpec((SourceFile(path, "m.pkl", "", path.stat().st_size),), folder / "scratch"))
    return next(f for f in findings if isinstance(f, Evidence) and f.check == "safety" and f.state != "running")


def test_the_safety_check_shows_it_beside_our_own_verdict(tmp_path: Path) -> None:
    safety = judged(tmp_path, pickle.dumps(LogisticRegression()))
    assert (safety.state, safety.details["second_opinion"]["verdict"]) == ("passed", "nothing dangerous")


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (malice.whole(malice.call("os", "system", "true")), "dangerous"),
        (malice.whole(malice.estimator() + b"}b}b"), "nothing dangerous"),  # what only a machine of its own can see
    ],
)
def test_it_is_shown_beside_a_refusal_too(data: bytes, verdict: str, tmp_path: Path) -> None:
    safety = judged(tmp_path, data)
    assert (safety.state, safety.details["second_opinion"]["verdict"]) == ("failed", verdict)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{", b'{"verdict": "fine"}', b"[" * 100_000])
def test_an_answer_of_another_shape_is_no_answer(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "run", lambda *_, **__: Outcome(0, None, False, 0.1, answer, "", 0))
    assert ask(tmp_path, b"") == {}


def test_a_scanner_that_cannot_run_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Outcome:
        raise ToolError("no room")

    monkeypatch.setattr(sandbox, "run", refuse)
    assert ask(tmp_path, b"") == {}
