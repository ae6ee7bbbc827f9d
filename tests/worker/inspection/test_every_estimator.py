"""A slice of all estimators of scikit-learn, drawn once and for all: accepted, served, equal; or refused with advice.

Behind the wall and through the runtime's own code; ``tests/bench/estimators.py`` takes all of them.
"""

import random

import pytest
from sklearn.utils import all_estimators

from tests.worker.inspection import trials
from tests.worker.inspection.room import walled
from worker import sandbox

SEED, EACH = 3, 9

pytestmark = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")


def test_95_of_100_estimators_answer_as_where_they_were_fitted_and_the_rest_say_what_to_change() -> None:
    draw = random.Random(SEED)
    with walled() as room:
        done = [
            trial
            for kind in ("bare", "pipeline", "search")
            for trial in trials.take_all(draw.sample(all_estimators(), EACH), kind, room)
        ]
    told = [str(trial) for trial in done if trial.outcome not in ("equal", "unfitted")]
    assert trials.share(done) >= trials.GOAL, told
    assert trials.without_advice(done) == []
    assert not [line for line in told if "broken" in line]
    assert sum(trial.outcome == "equal" for trial in done) >= 2 * EACH
    assert any(trial.outcome == "refused" for trial in done), "nothing was refused: another seed says more"
