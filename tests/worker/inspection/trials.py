"""One scikit-learn estimator from ``fit`` to a served answer: accepted, served, equal to the local prediction?"""

import io
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import skops.io

from tests.worker.inspection import agreement, toys
from tests.worker.inspection.examining import Report, examined
from tests.worker.served import bundle_of, open_bundle

FORMS = ("joblib", "pickle", "skops")
GOAL = 0.95  # of those that can answer about new rows at all


@dataclass
class Trial:
    """What became of one model."""

    name: str
    kind: str
    form: str
    outcome: str  # equal different refused broken unfitted
    served: str = ""
    told: str = ""  # what differs, or why it was refused
    advice: str = ""
    can_answer: bool = True  # about new rows; some only label or place the rows of their training

    def __str__(self) -> str:
        words = " ".join(part for part in (self.told, self.advice) if part)
        return f"{self.kind:9}{self.name:32}{self.form:8}{self.outcome:10}{self.served:6}{words}"


def share(trials: Iterable[Trial]) -> float:
    """Of those that can answer about new rows, how many are accepted, served and answer as where they were fitted."""
    answering = [trial for trial in trials if trial.can_answer and trial.outcome != "unfitted"]
    return sum(trial.outcome == "equal" for trial in answering) / len(answering) if answering else 0.0


def without_advice(trials: Iterable[Trial]) -> list[str]:
    """Those that were refused without a word about what to do."""
    return [str(trial) for trial in trials if trial.outcome == "refused" and not (trial.told and trial.advice)]


def take_all(named: Sequence[tuple[str, Any]], kind: str, room: Path) -> Iterable[Trial]:
    """Each estimator in turn, saved in the three forms in turn; ``room`` holds all files."""
    imports = Path(tempfile.mkdtemp(dir=room))
    for number, (name, cls) in enumerate(named):
        form = FORMS[number % len(FORMS)]
        with tempfile.TemporaryDirectory(dir=room) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield take(name, cls, kind, form, Path(folder), imports)
            except Exception as error:
                told = traceback.format_exception_only(error)[-1].strip()[:300]
                yield Trial(name, kind, form, "broken", told=told)


def take(name: str, cls: Any, kind: str, form: str, folder: Path, imports: Path) -> Trial:
    """Fit, save, examine, pack, load as a replica does, ask, compare."""
    fitted = toys.KINDS[kind](cls)
    if fitted is None:
        return Trial(name, kind, form, "unfitted")
    can_answer = bool(agreement.local(fitted.model, fitted.rows))
    (folder / "examined").mkdir()
    report = examined(folder / "examined", {"model.bin": saved(fitted.model, form)})
    if not report.verdict.accepted:
        failed = report.failed
        return Trial(
            name, kind, form, "refused", "", f"{failed.check}: {failed.reason}", str(failed.advice or ""), can_answer
        )
    told = _difference(fitted, report, folder, imports)
    return Trial(name, kind, form, "different" if told else "equal", report.verdict.served_format, told, "", can_answer)


def _difference(fitted: toys.Fitted, report: Report, folder: Path, imports: Path) -> str:
    """How the answers of what is served differ from the model's own."""
    signature = report.verdict.signature
    assert signature
    ask = open_bundle(bundle_of(report.verdict, folder), imports)
    answer = ask(agreement.as_request(fitted.rows, signature))
    return agreement.difference(fitted.model, fitted.rows, signature, answer)


def saved(model: Any, form: str) -> bytes:
    if form == "pickle":
        return pickle.dumps(model)
    buffer = io.BytesIO()
    if form == "skops":
        skops.io.dump(model, buffer)
    else:
        joblib.dump(model, buffer)
    return buffer.getvalue()
