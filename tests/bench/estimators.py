"""Every scikit-learn estimator from ``fit`` to a served answer: accepted, served, equal to the local prediction?

    python -m tests.bench.estimators [--kinds bare pipeline search words] [--only Ridge …] [--unwalled]

Each estimator of ``sklearn.utils.all_estimators()`` is fitted on toy data, bare, behind a column transformer over a
mixed table, and in a grid search; saved with joblib, pickle and skops in turn; examined behind the sandbox's wall;
packed by the builder; loaded by the runtime's own code; asked about the rows it was fitted on. Labels must be equal,
numbers within 1e-4. Exit code 1 where fewer than 95 of 100 are equal, of those that can answer about new rows at all,
or where one of the rest is refused without a sentence of advice.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sklearn.utils import all_estimators

from tests.worker.inspection import toys, trials
from tests.worker.inspection.near import unwalled
from tests.worker.inspection.room import walled
from tests.worker.inspection.trials import GOAL, Trial

KINDS = ("bare", "pipeline", "search")  # that the goal is of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(toys.KINDS))
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--unwalled", action="store_true", help="in this process, to look at a failure with a debugger")
    options = parser.parse_args()
    os.nice(10)
    named = [(name, cls) for name, cls in all_estimators() if name in options.only or not options.only]
    is_fine = True
    with _unwalled() if options.unwalled else walled() as room:
        for kind in options.kinds:
            done, begun = [], time.monotonic()
            for trial in trials.take_all(named, kind, room):
                done.append(trial)
                if trial.outcome not in ("equal", "unfitted"):
                    print(trial, flush=True)
            show(kind, done, time.monotonic() - begun)
            is_fine &= trials.share(done) >= GOAL and not trials.without_advice(done)
    return 0 if is_fine else 1


@contextmanager
def _unwalled() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name, unwalled():
        yield Path(name)


def show(kind: str, done: list[Trial], seconds: float) -> None:
    fitted = [trial for trial in done if trial.outcome != "unfitted"]
    counts = Counter(trial.outcome for trial in fitted)
    served = Counter(trial.served for trial in fitted if trial.served)
    figures = (
        ("fitted", len(fitted)),
        ("accepted", counts["equal"] + counts["different"]),
        ("equal", counts["equal"]),
        ("of all", f"{counts['equal'] / max(len(fitted), 1):.1%}"),
        ("can answer", sum(trial.can_answer for trial in fitted)),
        ("of those", f"{trials.share(done):.1%}"),
        ("refused", counts["refused"]),
        ("no advice", len(trials.without_advice(done))),
        ("seconds", round(seconds)),
    )
    print(f"\n{'':10}" + "".join(f"{head:>12}" for head, _ in figures))
    print(f"{kind:10}" + "".join(f"{figure:>12}" for _, figure in figures))
    left = ", ".join(trial.name for trial in done if trial.outcome == "unfitted")
    print(f"{'':10}served as {dict(served)}; not fitted on toy data: {left}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
