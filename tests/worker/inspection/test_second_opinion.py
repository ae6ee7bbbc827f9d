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


def test_the_safety_check_shows_it_beside_our_own_verdict(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression()))
    (tmp_path / "scratch").mkdir()
    findings = examine(ExamineSpec((SourceFile(path, "m.pkl", "", path.stat().st_size),), tmp_path / "scratch"))
    safety = next(f for f in findings if isinstance(f, Evidence) and (f.check, f.state) == ("safety", "passed"))
    assert safety.details["second_opinion"]["verdict"] == "nothing dangerous"


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
