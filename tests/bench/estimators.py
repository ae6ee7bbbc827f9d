"""Every scikit-learn estimator from ``fit`` to a served answer: accepted, served, equal to the local prediction?

    python tests/bench/estimators.py [--kinds bare pipeline search] [--only Ridge …] [--walled]

Each estimator of ``sklearn.utils.all_estimators()`` is fitted on toy data, bare, behind a column transformer over a
mixed table, and in a grid search; saved with joblib, pickle and skops in turn; examined; packed by the builder; loaded
as a replica loads it; and asked about the rows it was fitted on. Labels must be equal, numbers within 1e-4. Goal: 95 of
100 equal of those that can answer about new rows at all, and a sentence of advice for each of the rest.

Each model has a process of its own, forked with the libraries loaded already. ``--walled`` examines through the real
sandbox instead (about 4 s each), and ``--replicas N`` asks every N-th model of a real replica over HTTP as well.
"""

import argparse
import io
import json
import multiprocessing
import os
import pickle
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # its threads do not survive a fork

import joblib
import skops.io
from sklearn.utils import all_estimators

from tests.runtime import replicas
from tests.worker.inspection import agreement, toys
from tests.worker.inspection.examining import Report, examined
from tests.worker.inspection.near import unwalled
from tests.worker.served import bundle_of, open_bundle
from worker.inspection.probes import estimator_conversion  # noqa: F401 - loaded before the forks

FORMS = ("joblib", "pickle", "skops")
SECONDS = 120


@dataclass
class Line:
    """What became of one model."""

    name: str
    kind: str
    form: str
    outcome: str  # equal different refused broken unfitted
    served: str = ""
    told: str = ""
    can_answer: bool = True  # where it was fitted, about new rows; some only label or place the rows of their training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(toys.KINDS), choices=list(toys.KINDS))
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--walled", action="store_true")
    parser.add_argument("--replicas", type=int, default=0, metavar="N")
    options = parser.parse_args()
    os.nice(10)
    for kind in options.kinds:
        lines = []
        for number, (name, cls) in enumerate(all_estimators()):
            if options.only and name not in options.only:
                continue
            asked = bool(options.replicas) and number % options.replicas == 0
            line = apart(name, cls, kind, FORMS[number % len(FORMS)], options.walled, asked)
            lines.append(line)
            if line.outcome not in ("equal", "unfitted"):
                print(
                    f"{line.kind:9}{line.name:32}{line.form:8}{line.outcome:10}{line.served:6}{line.told}", flush=True
                )
        show(kind, lines)


def show(kind: str, lines: list[Line]) -> None:
    fitted = [line for line in lines if line.outcome != "unfitted"]
    counts = Counter(line.outcome for line in fitted)
    served = Counter(line.served for line in fitted if line.served)
    accepted = counts["equal"] + counts["different"]
    answering = sum(line.can_answer for line in fitted)
    shares = [counts["equal"] / count if count else 0.0 for count in (len(fitted), answering)]
    left = ", ".join(line.name for line in lines if line.outcome == "unfitted")
    heads = ("fitted", "accepted", "equal", "share", "can answer", "share")
    widths = (8, 10, 8, 8, 12, 8)
    row = "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    print(f"\n{'':10}{row}   served as; not fitted on toy data")
    figures = f"{len(fitted):8}{accepted:10}{counts['equal']:8}{shares[0]:8.1%}{answering:12}{shares[1]:8.1%}"
    print(f"{kind:10}{figures}   {dict(served)}; {left}", flush=True)


def apart(name: str, cls: Any, kind: str, form: str, is_walled: bool, has_replica: bool) -> Line:
    """One model in a process of its own: a crash or an endless loop costs only its line."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, name, cls, kind, form, is_walled, has_replica))
    process.start()
    sender.close()
    try:
        if not receiver.poll(SECONDS):
            return Line(name, kind, form, "broken", told="took too long")
        return Line(**json.loads(receiver.recv()))
    except EOFError:
        return Line(name, kind, form, "broken", told="the process died")
    finally:
        process.kill()
        process.join()


def _report(sender: Any, name: str, cls: Any, *options: Any) -> None:
    warnings.simplefilter("ignore")
    try:
        line = take_through(name, cls, *options)
    except Exception as error:
        line = Line(
            name, options[0], options[1], "broken", told=traceback.format_exception_only(error)[-1].strip()[:300]
        )
    sender.send(json.dumps(asdict(line)))


def take_through(name: str, cls: Any, kind: str, form: str, is_walled: bool, has_replica: bool) -> Line:
    """Fit, save, examine, pack, serve, compare."""
    fitted = toys.KINDS[kind](cls)
    if fitted is None:
        return Line(name, kind, form, "unfitted")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as place:
        folder = Path(place)
        (folder / "examined").mkdir()
        with nullcontext() if is_walled else unwalled():
            report = examined(folder / "examined", {"model.bin": saved(fitted.model, form)})
        if not report.verdict.accepted:
            can_answer = bool(agreement.local(fitted.model, fitted.rows))
            return Line(name, kind, form, "refused", told=sentence(report), can_answer=can_answer)
        told = asked_of(fitted, report, folder, has_replica)
        return Line(name, kind, form, "different" if told else "equal", report.verdict.served_format, told)


def asked_of(fitted: toys.Fitted, report: Report, folder: Path, has_replica: bool) -> str:
    """How the served model's answers differ from the model's own."""
    verdict = report.verdict
    assert verdict.signature
    bundle = bundle_of(verdict, folder)
    request = agreement.as_request(fitted.rows, verdict.signature)
    told = agreement.difference(fitted.model, fitted.rows, verdict.signature, open_bundle(bundle, folder)(request))
    if told or not has_replica:
        return told
    with replicas.start(bundle) as replica:
        answer = replica.infer("model", request)
        return (
            agreement.difference(fitted.model, fitted.rows, verdict.signature, answer.json())
            if answer.status == 200
            else str(answer.body)
        )


def saved(model: Any, form: str) -> bytes:
    buffer = io.BytesIO()
    if form == "pickle":
        return pickle.dumps(model)
    if form == "skops":
        skops.io.dump(model, buffer)
    else:
        joblib.dump(model, buffer)
    return buffer.getvalue()


def sentence(report: Report) -> str:
    failed = report.failed
    return f"{failed.check}: {failed.reason} {failed.advice or ''}"


if __name__ == "__main__":
    main()
